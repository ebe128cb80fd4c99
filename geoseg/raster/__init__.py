"""Files with pixels: scenes in, pieces and COGs out. The only room that knows rasterio."""
