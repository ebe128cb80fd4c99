"""Object stores that speak S3: the only room that knows boto3."""
