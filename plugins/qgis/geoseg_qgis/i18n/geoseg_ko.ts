<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="ko" sourcelanguage="en">
 <context>
  <name>geoseg</name>
  <message>
   <source>index.html</source>
   <translation>index_ko.html</translation>
  </message>
  <message>
   <source>Evaluate against reference</source>
   <translation>기준 자료로 평가</translation>
  </message>
  <message>
   <source>Compares a class raster with a reference raster, polygons or labelled points: confusion matrix, IoU, F1, borders and calibration, and with points the accuracy and area of every class with confidence intervals.</source>
   <translation>분류 래스터를 기준 래스터, 폴리곤 또는 라벨이 있는 점과 비교합니다: 혼동 행렬, IoU, F1, 경계와 보정, 그리고 점이 있으면 클래스별 정확도와 면적을 신뢰 구간과 함께 구합니다.</translation>
  </message>
  <message>
   <source>Report</source>
   <translation>보고서</translation>
  </message>
  <message>
   <source>Overall accuracy</source>
   <translation>전체 정확도</translation>
  </message>
  <message>
   <source>Mean IoU</source>
   <translation>평균 IoU</translation>
  </message>
  <message>
   <source>Mean F1</source>
   <translation>평균 F1</translation>
  </message>
  <message>
   <source>The reference cannot be read</source>
   <translation>기준 자료를 읽을 수 없습니다</translation>
  </message>
  <message>
   <source>Choose another layer.</source>
   <translation>다른 레이어를 고르십시오.</translation>
  </message>
  <message>
   <source>Model info</source>
   <translation>모델 정보</translation>
  </message>
  <message>
   <source>Tells what a model maps, on what imagery, how well, and under which licence, from its card.</source>
   <translation>모델이 무엇을 어떤 영상에서 얼마나 잘 분류하는지, 어떤 라이선스인지 카드에서 읽어 보여 줍니다.</translation>
  </message>
  <message>
   <source>Page</source>
   <translation>페이지</translation>
  </message>
  <message>
   <source>Name</source>
   <translation>이름</translation>
  </message>
  <message>
   <source>Title</source>
   <translation>제목</translation>
  </message>
  <message>
   <source>Classes</source>
   <translation>클래스</translation>
  </message>
  <message>
   <source>Bands</source>
   <translation>밴드</translation>
  </message>
  <message>
   <source>Licence</source>
   <translation>라이선스</translation>
  </message>
  <message>
   <source>Pixel size [m]</source>
   <translation>픽셀 크기 [m]</translation>
  </message>
  <message>
   <source>Segment raster</source>
   <translation>래스터 분할</translation>
  </message>
  <message>
   <source>Maps the land cover of a raster layer of any size: a class raster with colours, the confidence of every pixel, and polygons, in a folder of their own. A run that was stopped continues when it is repeated with the same folder.</source>
   <translation>크기에 제한 없이 래스터 레이어의 토지 피복을 지도로 만듭니다: 색이 있는 분류 래스터, 픽셀별 신뢰도, 폴리곤을 한 폴더에 씁니다. 중단된 작업은 같은 폴더로 다시 실행하면 이어집니다.</translation>
  </message>
  <message>
   <source>Confidence</source>
   <translation>신뢰도</translation>
  </message>
  <message>
   <source>Polygons</source>
   <translation>폴리곤</translation>
  </message>
  <message>
   <source>Record of the run</source>
   <translation>실행 기록</translation>
  </message>
  <message>
   <source>The area of interest is empty</source>
   <translation>관심 영역이 비어 있습니다</translation>
  </message>
  <message>
   <source>Choose another extent.</source>
   <translation>다른 범위를 고르십시오.</translation>
  </message>
  <message>
   <source>Train model from layers</source>
   <translation>레이어로 모델 학습</translation>
  </message>
  <message>
   <source>Trains a model of your own classes on raster layers and what is known of them: class rasters or polygons, one for each scene and in the same order. Ground that is not labelled is ignored. The folder can be chosen as a model afterwards.</source>
   <translation>래스터 레이어와 그 라벨로 나만의 클래스를 학습합니다: 분류 래스터나 폴리곤을 장면마다 하나씩, 같은 순서로 고르십시오. 라벨이 없는 땅은 무시합니다. 만들어진 폴더를 나중에 모델로 고를 수 있습니다.</translation>
  </message>
  <message>
   <source>{scenes} scenes and {labels} layers of labels were chosen</source>
   <translation>장면 {scenes}개와 라벨 레이어 {labels}개를 골랐습니다</translation>
  </message>
  <message>
   <source>Choose one layer of labels for each scene, in the same order.</source>
   <translation>장면마다 라벨 레이어를 하나씩, 같은 순서로 고르십시오.</translation>
  </message>
  <message>
   <source>Vectorise class raster</source>
   <translation>분류 래스터를 폴리곤으로</translation>
  </message>
  <message>
   <source>Turns any raster of whole class numbers into polygons, without gaps or overlaps and in bounded memory. Names and colours come from the raster, or from what you give.</source>
   <translation>정수 클래스 번호로 된 어떤 래스터든 틈이나 겹침 없이, 정해진 메모리 안에서 폴리곤으로 바꿉니다. 이름과 색은 래스터에서 읽거나 직접 줄 수 있습니다.</translation>
  </message>
  <message>
   <source>Area to map</source>
   <translation>지도로 만들 영역</translation>
  </message>
  <message>
   <source>Whole layer</source>
   <translation>레이어 전체</translation>
  </message>
  <message>
   <source>What the map shows</source>
   <translation>지도에 보이는 부분</translation>
  </message>
  <message>
   <source>A rectangle that I draw</source>
   <translation>직접 그리는 사각형</translation>
  </message>
  <message>
   <source>A polygon that I draw</source>
   <translation>직접 그리는 다각형</translation>
  </message>
  <message>
   <source>Polygons of a layer</source>
   <translation>레이어의 폴리곤</translation>
  </message>
  <message>
   <source>Draw</source>
   <translation>그리기</translation>
  </message>
  <message>
   <source>No area is drawn</source>
   <translation>그린 영역이 없습니다</translation>
  </message>
  <message>
   <source>Press Draw and draw it on the map.</source>
   <translation>그리기를 누르고 지도에 그리십시오.</translation>
  </message>
  <message>
   <source>No polygon layer is chosen</source>
   <translation>고른 폴리곤 레이어가 없습니다</translation>
  </message>
  <message>
   <source>Choose one, or another kind of area.</source>
   <translation>하나를 고르거나 다른 종류의 영역을 고르십시오.</translation>
  </message>
  <message>
   <source>Drag a rectangle on the map.</source>
   <translation>지도에서 사각형을 끌어 그리십시오.</translation>
  </message>
  <message>
   <source>Click the corners on the map; the right button ends the polygon.</source>
   <translation>지도에서 꼭짓점을 누르십시오. 오른쪽 단추로 다각형을 끝냅니다.</translation>
  </message>
  <message>
   <source>Something went wrong</source>
   <translation>문제가 생겼습니다</translation>
  </message>
  <message>
   <source>{folder} holds no model card that this plugin can read</source>
   <translation>{folder}에 이 플러그인이 읽을 수 있는 모델 카드가 없습니다</translation>
  </message>
  <message>
   <source>The answer</source>
   <translation>응답</translation>
  </message>
  <message>
   <source>Choose a folder that geoseg train or geoseg models import made.</source>
   <translation>geoseg train이나 geoseg models import로 만든 폴더를 고르십시오.</translation>
  </message>
  <message>
   <source>any pixel size</source>
   <translation>모든 픽셀 크기</translation>
  </message>
  <message>
   <source>{low} to {high} m per pixel</source>
   <translation>픽셀당 {low}~{high} m</translation>
  </message>
  <message>
   <source>accuracy not known</source>
   <translation>정확도를 알 수 없음</translation>
  </message>
  <message>
   <source>mean IoU {iou} on {ground}</source>
   <translation>평균 IoU {iou}, {ground}</translation>
  </message>
  <message>
   <source>{folder} is not a model folder</source>
   <translation>{folder}은(는) 모델 폴더가 아닙니다</translation>
  </message>
  <message>
   <source>Choose a folder with a card.json and weights in it.</source>
   <translation>card.json과 가중치가 있는 폴더를 고르십시오.</translation>
  </message>
  <message>
   <source>Imagery</source>
   <translation>영상</translation>
  </message>
  <message>
   <source>Ground</source>
   <translation>지역</translation>
  </message>
  <message>
   <source>Overall</source>
   <translation>전체</translation>
  </message>
  <message>
   <source>Accuracy</source>
   <translation>정확도</translation>
  </message>
  <message>
   <source>{program} cannot be started: {text}</source>
   <translation>{program}을(를) 시작할 수 없습니다: {text}</translation>
  </message>
  <message>
   <source>Look at the disk and at the Engine page.</source>
   <translation>디스크와 엔진 페이지를 확인하십시오.</translation>
  </message>
  <message>
   <source>Map</source>
   <translation>지도</translation>
  </message>
  <message>
   <source>Result</source>
   <translation>결과</translation>
  </message>
  <message>
   <source>History</source>
   <translation>기록</translation>
  </message>
  <message>
   <source>Engine</source>
   <translation>엔진</translation>
  </message>
  <message>
   <source>Stopping ...</source>
   <translation>멈추는 중 ...</translation>
  </message>
  <message>
   <source>{title} was handed to the batch system; its map opens when it is there.</source>
   <translation>{title}을(를) 배치 시스템에 넘겼습니다. 지도가 만들어지면 열립니다.</translation>
  </message>
  <message>
   <source>The map of {title} is not there</source>
   <translation>{title}의 지도가 없습니다</translation>
  </message>
  <message>
   <source>{title} is mapped, in {time}.</source>
   <translation>{title}의 지도를 {time} 만에 만들었습니다.</translation>
  </message>
  <message>
   <source>A run is going on</source>
   <translation>실행 중인 작업이 있습니다</translation>
  </message>
  <message>
   <source>Wait for it, or stop it first.</source>
   <translation>끝날 때까지 기다리거나 먼저 멈추십시오.</translation>
  </message>
  <message>
   <source>{title} cannot be run again now</source>
   <translation>{title}: 지금은 다시 실행할 수 없습니다</translation>
  </message>
  <message>
   <source>Wait until it has ended, or begin anew on the Map page.</source>
   <translation>끝날 때까지 기다리거나 지도 쪽에서 새로 시작하십시오.</translation>
  </message>
  <message>
   <source>Show log</source>
   <translation>로그 보기</translation>
  </message>
  <message>
   <source>Log of {title}</source>
   <translation>{title}의 로그</translation>
  </message>
  <message>
   <source>geoseg is not at {path}</source>
   <translation>{path}에 geoseg가 없습니다</translation>
  </message>
  <message>
   <source>Choose another program, or clear the setting, on the Engine page.</source>
   <translation>엔진 페이지에서 다른 프로그램을 고르거나 설정을 지우십시오.</translation>
  </message>
  <message>
   <source>The geoseg engine is not installed</source>
   <translation>geoseg 엔진이 설치되어 있지 않습니다</translation>
  </message>
  <message>
   <source>Install it, or choose where it is, on the Engine page.</source>
   <translation>엔진 페이지에서 설치하거나 위치를 고르십시오.</translation>
  </message>
  <message>
   <source>it printed nothing</source>
   <translation>아무것도 출력하지 않았습니다</translation>
  </message>
  <message>
   <source>{program} does not work: {text}</source>
   <translation>{program}이(가) 작동하지 않습니다: {text}</translation>
  </message>
  <message>
   <source>Repair the engine, or choose another, on the Engine page.</source>
   <translation>엔진 페이지에서 엔진을 복구하거나 다른 것을 고르십시오.</translation>
  </message>
  <message>
   <source>geoseg {version} is too old, this plugin needs {needed} or newer</source>
   <translation>geoseg {version}은 너무 오래되었습니다. 이 플러그인에는 {needed} 이상이 필요합니다</translation>
  </message>
  <message>
   <source>Update it: pip install --upgrade geoseg, or Repair on the Engine page.</source>
   <translation>업데이트하십시오: pip install --upgrade geoseg 또는 엔진 페이지의 복구.</translation>
  </message>
  <message>
   <source>The batch command cannot be read: {text}</source>
   <translation>배치 명령을 읽을 수 없습니다: {text}</translation>
  </message>
  <message>
   <source>Close every quotation mark.</source>
   <translation>따옴표를 모두 닫으십시오.</translation>
  </message>
  <message>
   <source>The batch command does not say where the geoseg command goes</source>
   <translation>배치 명령에 geoseg 명령이 들어갈 자리가 없습니다</translation>
  </message>
  <message>
   <source>Put {command} into it, as in: sbatch --wrap {command}</source>
   <translation>{command}를 넣으십시오. 예: sbatch --wrap {command}</translation>
  </message>
  <message>
   <source>The batch command has a placeholder inside other quotation marks</source>
   <translation>배치 명령의 자리표시자가 다른 따옴표 안에 있습니다</translation>
  </message>
  <message>
   <source>Write it without them, as in: sbatch --wrap {command}</source>
   <translation>따옴표 없이 쓰십시오. 예: sbatch --wrap {command}</translation>
  </message>
  <message>
   <source>Environment of its own</source>
   <translation>전용 환경</translation>
  </message>
  <message>
   <source>The plugin can make a Python environment for geoseg in your QGIS profile. Nothing in QGIS or in your system is changed. It takes some minutes and, with support for NVIDIA graphics cards, up to 8 GiB.</source>
   <translation>플러그인이 QGIS 프로필 안에 geoseg용 Python 환경을 만들 수 있습니다. QGIS나 시스템은 바뀌지 않습니다. 몇 분이 걸리고, NVIDIA 그래픽 카드 지원을 포함하면 최대 8 GiB를 씁니다.</translation>
  </message>
  <message>
   <source>Name for pip, an address, or the path of a wheel or checkout</source>
   <translation>pip용 이름, 주소, 또는 휠이나 소스 폴더의 경로</translation>
  </message>
  <message>
   <source>the usual one</source>
   <translation>기본값</translation>
  </message>
  <message>
   <source>Address of your organisation's package index, if it has one</source>
   <translation>기관의 패키지 저장소가 있으면 그 주소</translation>
  </message>
  <message>
   <source>Package</source>
   <translation>패키지</translation>
  </message>
  <message>
   <source>Install with</source>
   <translation>설치 도구</translation>
  </message>
  <message>
   <source>Package index</source>
   <translation>패키지 저장소</translation>
  </message>
  <message>
   <source>Install geoseg</source>
   <translation>geoseg 설치</translation>
  </message>
  <message>
   <source>Remove</source>
   <translation>제거</translation>
  </message>
  <message>
   <source>Cancel</source>
   <translation>취소</translation>
  </message>
  <message>
   <source>Step {number} of {count}: {title}</source>
   <translation>{count}단계 중 {number}단계: {title}</translation>
  </message>
  <message>
   <source>Stopped; nothing was left behind.</source>
   <translation>멈췄습니다. 남은 것은 없습니다.</translation>
  </message>
  <message>
   <source>geoseg is installed.</source>
   <translation>geoseg를 설치했습니다.</translation>
  </message>
  <message>
   <source>Log of the installation</source>
   <translation>설치 로그</translation>
  </message>
  <message>
   <source>Doctor</source>
   <translation>진단</translation>
  </message>
  <message>
   <source>Examine</source>
   <translation>진단하기</translation>
  </message>
  <message>
   <source>Versions, devices, and a small map as a self-test</source>
   <translation>버전, 장치, 그리고 자체 시험으로 작은 지도</translation>
  </message>
  <message>
   <source>Copy for a bug report</source>
   <translation>버그 보고용으로 복사</translation>
  </message>
  <message>
   <source>Examining; the self-test takes some ten seconds ...</source>
   <translation>진단 중입니다. 자체 시험에 10초쯤 걸립니다 ...</translation>
  </message>
  <message>
   <source>All is well.</source>
   <translation>모두 정상입니다.</translation>
  </message>
  <message>
   <source>Something is broken: see the red lines.</source>
   <translation>고장 난 것이 있습니다. 붉은 줄을 보십시오.</translation>
  </message>
  <message>
   <source>Settings</source>
   <translation>설정</translation>
  </message>
  <message>
   <source>found by itself</source>
   <translation>자동으로 찾음</translation>
  </message>
  <message>
   <source>stop; running again continues</source>
   <translation>멈춤, 다시 실행하면 이어짐</translation>
  </message>
  <message>
   <source>go on; QGIS finds them again</source>
   <translation>계속함, QGIS가 다시 찾음</translation>
  </message>
  <message>
   <source>{command}: the geoseg command as one text; {arguments}: its words; {name}: the job; {out}: the result folder. The folders must be the same over there.</source>
   <translation>{command}: geoseg 명령 전체를 한 텍스트로, {arguments}: 명령의 낱말들, {name}: 작업 이름, {out}: 결과 폴더. 저쪽에서도 폴더가 같아야 합니다.</translation>
  </message>
  <message>
   <source>geoseg program</source>
   <translation>geoseg 프로그램</translation>
  </message>
  <message>
   <source>When QGIS closes, jobs</source>
   <translation>QGIS를 닫으면 작업은</translation>
  </message>
  <message>
   <source>Scheduler address</source>
   <translation>스케줄러 주소</translation>
  </message>
  <message>
   <source>Batch command</source>
   <translation>배치 명령</translation>
  </message>
  <message>
   <source>geoseg over there</source>
   <translation>저쪽의 geoseg</translation>
  </message>
  <message>
   <source>geoseg {version} is ready: {program}</source>
   <translation>geoseg {version} 준비됨: {program}</translation>
  </message>
  <message>
   <source>Repair</source>
   <translation>복구</translation>
  </message>
  <message>
   <source>Versions</source>
   <translation>버전</translation>
  </message>
  <message>
   <source>System</source>
   <translation>시스템</translation>
  </message>
  <message>
   <source>Raster formats</source>
   <translation>래스터 형식</translation>
  </message>
  <message>
   <source>Vector formats</source>
   <translation>벡터 형식</translation>
  </message>
  <message>
   <source>Devices</source>
   <translation>장치</translation>
  </message>
  <message>
   <source>Models</source>
   <translation>모델</translation>
  </message>
  <message>
   <source>Self-test</source>
   <translation>자체 시험</translation>
  </message>
  <message>
   <source>none</source>
   <translation>없음</translation>
  </message>
  <message>
   <source>The engine needs Python {needed} or newer, found: {found}</source>
   <translation>엔진에는 Python {needed} 이상이 필요합니다. 찾은 것: {found}</translation>
  </message>
  <message>
   <source>Install Python from your system's packages, or choose uv, which brings its own.</source>
   <translation>시스템 패키지로 Python을 설치하거나, Python을 함께 가져오는 uv를 고르십시오.</translation>
  </message>
  <message>
   <source>Installing geoseg and its libraries</source>
   <translation>geoseg와 라이브러리 설치</translation>
  </message>
  <message>
   <source>uv is not installed</source>
   <translation>uv가 설치되어 있지 않습니다</translation>
  </message>
  <message>
   <source>Install uv, or choose pip.</source>
   <translation>uv를 설치하거나 pip을 고르십시오.</translation>
  </message>
  <message>
   <source>Making the environment</source>
   <translation>환경 만들기</translation>
  </message>
  <message>
   <source>Trying the engine</source>
   <translation>엔진 시험</translation>
  </message>
  <message>
   <source>{folder} was not made by this plugin and is left alone</source>
   <translation>{folder}은(는) 이 플러그인이 만든 것이 아니어서 그대로 둡니다</translation>
  </message>
  <message>
   <source>Delete it yourself if nobody needs it.</source>
   <translation>아무도 쓰지 않으면 직접 지우십시오.</translation>
  </message>
  <message>
   <source>{folder} cannot be deleted: {text}</source>
   <translation>{folder}을(를) 지울 수 없습니다: {text}</translation>
  </message>
  <message>
   <source>End running jobs first.</source>
   <translation>실행 중인 작업을 먼저 끝내십시오.</translation>
  </message>
  <message>
   <source>Cannot write to {folder}: {text}</source>
   <translation>{folder}에 쓸 수 없습니다: {text}</translation>
  </message>
  <message>
   <source>Free space on that disk, or check who may write there.</source>
   <translation>그 디스크의 공간을 비우거나 쓰기 권한을 확인하십시오.</translation>
  </message>
  <message>
   <source>Check the proxy in QGIS: Settings, Options, Network.</source>
   <translation>QGIS의 프록시를 확인하십시오: 설정, 옵션, 네트워크.</translation>
  </message>
  <message>
   <source>The disk is full</source>
   <translation>디스크가 가득 찼습니다</translation>
  </message>
  <message>
   <source>Free some 8 GiB and try again.</source>
   <translation>8 GiB쯤 비우고 다시 해 보십시오.</translation>
  </message>
  <message>
   <source>The certificate of the server is not trusted</source>
   <translation>서버의 인증서를 신뢰할 수 없습니다</translation>
  </message>
  <message>
   <source>Add your organisation's certificate in QGIS: Settings, Options, Authentication.</source>
   <translation>기관의 인증서를 QGIS에 추가하십시오: 설정, 옵션, 인증.</translation>
  </message>
  <message>
   <source>The proxy refused the connection</source>
   <translation>프록시가 연결을 거부했습니다</translation>
  </message>
  <message>
   <source>The package index cannot be reached</source>
   <translation>패키지 저장소에 연결할 수 없습니다</translation>
  </message>
  <message>
   <source>The package index has no such geoseg for this Python and system</source>
   <translation>패키지 저장소에 이 Python과 시스템용 geoseg가 없습니다</translation>
  </message>
  <message>
   <source>Check the package name, or give the path of a wheel.</source>
   <translation>패키지 이름을 확인하거나 휠의 경로를 주십시오.</translation>
  </message>
  <message>
   <source>{step} failed with code {code}: {text}</source>
   <translation>{step} 실패, 코드 {code}: {text}</translation>
  </message>
  <message>
   <source>The log tells more.</source>
   <translation>로그에 더 자세히 있습니다.</translation>
  </message>
  <message>
   <source>about {time}</source>
   <translation>약 {time}</translation>
  </message>
  <message>
   <source>{size} memory</source>
   <translation>메모리 {size}</translation>
  </message>
  <message>
   <source>{size} disk</source>
   <translation>디스크 {size}</translation>
  </message>
  <message>
   <source>Memory will not do: {needed} needed, {free} free.</source>
   <translation>메모리가 모자랍니다: {needed} 필요, {free} 남음.</translation>
  </message>
  <message>
   <source>The disk is too full: {needed} needed, {free} free.</source>
   <translation>디스크 공간이 모자랍니다: {needed} 필요, {free} 남음.</translation>
  </message>
  <message>
   <source>{folder} cannot be written.</source>
   <translation>{folder}에 쓸 수 없습니다.</translation>
  </message>
  <message>
   <source>The area to export is empty</source>
   <translation>내보낼 영역이 비어 있습니다</translation>
  </message>
  <message>
   <source>Zoom to a place, or draw a rectangle.</source>
   <translation>지도를 확대하거나 사각형을 그리십시오.</translation>
  </message>
  <message>
   <source>{n} million pixels are too many to ask of a server</source>
   <translation>{n}백만 픽셀은 서버에 요청하기에 너무 많습니다</translation>
  </message>
  <message>
   <source>Choose a smaller area or larger pixels.</source>
   <translation>더 작은 영역이나 더 큰 픽셀을 고르십시오.</translation>
  </message>
  <message>
   <source>Exporting {layer}</source>
   <translation>{layer} 내보내기</translation>
  </message>
  <message>
   <source>The export was stopped</source>
   <translation>내보내기를 멈췄습니다</translation>
  </message>
  <message>
   <source>The web layer cannot be exported: {text}</source>
   <translation>웹 레이어를 내보낼 수 없습니다: {text}</translation>
  </message>
  <message>
   <source>the server gave no picture</source>
   <translation>서버가 그림을 주지 않았습니다</translation>
  </message>
  <message>
   <source>Try a smaller area or larger pixels, or look at the layer's address.</source>
   <translation>더 작은 영역이나 더 큰 픽셀로 해 보거나 레이어의 주소를 확인하십시오.</translation>
  </message>
  <message>
   <source>The area reaches beyond what the layer's coordinate system can show</source>
   <translation>영역이 레이어 좌표계가 나타낼 수 있는 범위를 벗어납니다</translation>
  </message>
  <message>
   <source>Zoom to the layer, or choose a smaller area.</source>
   <translation>레이어로 확대하거나 더 작은 영역을 고르십시오.</translation>
  </message>
  <message>
   <source>waiting</source>
   <translation>대기 중</translation>
  </message>
  <message>
   <source>running</source>
   <translation>실행 중</translation>
  </message>
  <message>
   <source>submitted</source>
   <translation>제출됨</translation>
  </message>
  <message>
   <source>done</source>
   <translation>완료</translation>
  </message>
  <message>
   <source>failed</source>
   <translation>실패</translation>
  </message>
  <message>
   <source>stopped</source>
   <translation>멈춤</translation>
  </message>
  <message>
   <source>When</source>
   <translation>언제</translation>
  </message>
  <message>
   <source>What</source>
   <translation>무엇</translation>
  </message>
  <message>
   <source>How it ended</source>
   <translation>결과</translation>
  </message>
  <message>
   <source>Run again</source>
   <translation>다시 실행</translation>
  </message>
  <message>
   <source>Open the map</source>
   <translation>지도 열기</translation>
  </message>
  <message>
   <source>Copy as command</source>
   <translation>명령으로 복사</translation>
  </message>
  <message>
   <source>Copy as Python</source>
   <translation>Python으로 복사</translation>
  </message>
  <message>
   <source>Open folder</source>
   <translation>폴더 열기</translation>
  </message>
  <message>
   <source>Forget</source>
   <translation>잊기</translation>
  </message>
  <message>
   <source>Nothing was run yet.</source>
   <translation>아직 실행한 것이 없습니다.</translation>
  </message>
  <message>
   <source>signal {number}</source>
   <translation>신호 {number}</translation>
  </message>
  <message>
   <source>The engine was killed</source>
   <translation>엔진이 강제로 종료되었습니다</translation>
  </message>
  <message>
   <source>What is finished is kept: run again to continue. If it happens again, memory may be short.</source>
   <translation>끝난 부분은 남아 있으니 다시 실행하면 이어집니다. 또 일어나면 메모리가 모자란 것일 수 있습니다.</translation>
  </message>
  <message>
   <source>Result folder</source>
   <translation>결과 폴더</translation>
  </message>
  <message>
   <source>Write the confidence raster</source>
   <translation>신뢰도 래스터 쓰기</translation>
  </message>
  <message>
   <source>Band of the classes</source>
   <translation>클래스가 있는 밴드</translation>
  </message>
  <message>
   <source>Folder for the report</source>
   <translation>보고서 폴더</translation>
  </message>
  <message>
   <source>Map to judge</source>
   <translation>평가할 지도</translation>
  </message>
  <message>
   <source>Model folder</source>
   <translation>모델 폴더</translation>
  </message>
  <message>
   <source>Scenes</source>
   <translation>장면들</translation>
  </message>
  <message>
   <source>Classes and colours</source>
   <translation>클래스와 색</translation>
  </message>
  <message>
   <source>Side of the blocks of ground [px]</source>
   <translation>땅 블록의 한 변 [px]</translation>
  </message>
  <message>
   <source>Licence of the weights</source>
   <translation>가중치의 라이선스</translation>
  </message>
  <message>
   <source>Pixel size the model works at [m]</source>
   <translation>모델이 쓰는 픽셀 크기 [m]</translation>
  </message>
  <message>
   <source>Scene</source>
   <translation>장면</translation>
  </message>
  <message>
   <source>Class raster</source>
   <translation>분류 래스터</translation>
  </message>
  <message>
   <source>Model: name or folder</source>
   <translation>모델: 이름 또는 폴더</translation>
  </message>
  <message>
   <source>Area of interest</source>
   <translation>관심 영역</translation>
  </message>
  <message>
   <source>Area of interest as an extent</source>
   <translation>범위로 준 관심 영역</translation>
  </message>
  <message>
   <source>Pixel size to assume [m]</source>
   <translation>가정할 픽셀 크기 [m]</translation>
  </message>
  <message>
   <source>Range of values</source>
   <translation>값의 범위</translation>
  </message>
  <message>
   <source>Nodata value</source>
   <translation>Nodata 값</translation>
  </message>
  <message>
   <source>A pixel is nodata where ... of its bands are</source>
   <translation>밴드 중 ...이 nodata이면 픽셀도 nodata</translation>
  </message>
  <message>
   <source>Reference: raster, polygons or points</source>
   <translation>기준 자료: 래스터, 폴리곤 또는 점</translation>
  </message>
  <message>
   <source>Band of the classes in the reference</source>
   <translation>기준 자료에서 클래스가 있는 밴드</translation>
  </message>
  <message>
   <source>Attribute that holds the class</source>
   <translation>클래스가 있는 속성</translation>
  </message>
  <message>
   <source>What values stand for</source>
   <translation>값의 뜻</translation>
  </message>
  <message>
   <source>Raster on another grid</source>
   <translation>격자가 다른 래스터</translation>
  </message>
  <message>
   <source>Confidence raster</source>
   <translation>신뢰도 래스터</translation>
  </message>
  <message>
   <source>Tolerance at borders [px]</source>
   <translation>경계의 허용 오차 [px]</translation>
  </message>
  <message>
   <source>Overwrite</source>
   <translation>덮어쓰기</translation>
  </message>
  <message>
   <source>Open the results in the project</source>
   <translation>결과를 프로젝트에서 열기</translation>
  </message>
  <message>
   <source>More polygon formats</source>
   <translation>추가 폴리곤 형식</translation>
  </message>
  <message>
   <source>No polygons</source>
   <translation>폴리곤 없음</translation>
  </message>
  <message>
   <source>Smallest region</source>
   <translation>가장 작은 구역</translation>
  </message>
  <message>
   <source>Simplify by</source>
   <translation>단순화 정도</translation>
  </message>
  <message>
   <source>Method of simplifying</source>
   <translation>단순화 방법</translation>
  </message>
  <message>
   <source>Smooth polygons</source>
   <translation>폴리곤 매끄럽게</translation>
  </message>
  <message>
   <source>One multipolygon per class</source>
   <translation>클래스마다 멀티폴리곤 하나</translation>
  </message>
  <message>
   <source>Neighbours of a pixel</source>
   <translation>픽셀의 이웃 수</translation>
  </message>
  <message>
   <source>CRS of the polygons</source>
   <translation>폴리곤의 좌표계</translation>
  </message>
  <message>
   <source>PostGIS database</source>
   <translation>PostGIS 데이터베이스</translation>
  </message>
  <message>
   <source>PostGIS table</source>
   <translation>PostGIS 테이블</translation>
  </message>
  <message>
   <source>Keep the raster with small regions</source>
   <translation>작은 구역이 있는 래스터도 남기기</translation>
  </message>
  <message>
   <source>Write scores of all classes</source>
   <translation>모든 클래스의 점수 쓰기</translation>
  </message>
  <message>
   <source>Write where windows disagree</source>
   <translation>창이 어긋나는 곳 쓰기</translation>
  </message>
  <message>
   <source>How windows are joined</source>
   <translation>창을 잇는 방법</translation>
  </message>
  <message>
   <source>Device</source>
   <translation>장치</translation>
  </message>
  <message>
   <source>Precision</source>
   <translation>정밀도</translation>
  </message>
  <message>
   <source>Backend</source>
   <translation>백엔드</translation>
  </message>
  <message>
   <source>Side of a block [px]</source>
   <translation>블록의 한 변 [px]</translation>
  </message>
  <message>
   <source>Side of a window [px]</source>
   <translation>창의 한 변 [px]</translation>
  </message>
  <message>
   <source>Context around windows [px]</source>
   <translation>창 둘레의 문맥 [px]</translation>
  </message>
  <message>
   <source>Windows per batch</source>
   <translation>배치당 창 수</translation>
  </message>
  <message>
   <source>Blocks at a time</source>
   <translation>동시에 처리할 블록 수</translation>
  </message>
  <message>
   <source>Threads</source>
   <translation>스레드 수</translation>
  </message>
  <message>
   <source>Scheduler</source>
   <translation>스케줄러</translation>
  </message>
  <message>
   <source>Labels: rasters or polygons, one for each scene</source>
   <translation>라벨: 래스터 또는 폴리곤, 장면마다 하나</translation>
  </message>
  <message>
   <source>Ground for training, validation and test [%]</source>
   <translation>학습, 검증, 시험용 땅 [%]</translation>
  </message>
  <message>
   <source>Start from the model</source>
   <translation>시작할 모델</translation>
  </message>
  <message>
   <source>Architecture</source>
   <translation>구조</translation>
  </message>
  <message>
   <source>Encoder</source>
   <translation>인코더</translation>
  </message>
  <message>
   <source>Loss</source>
   <translation>손실</translation>
  </message>
  <message>
   <source>Class weights</source>
   <translation>클래스 가중치</translation>
  </message>
  <message>
   <source>Batches</source>
   <translation>배치 수</translation>
  </message>
  <message>
   <source>Time [min]</source>
   <translation>시간 [min]</translation>
  </message>
  <message>
   <source>Side of a crop [px]</source>
   <translation>조각의 한 변 [px]</translation>
  </message>
  <message>
   <source>Highest learning rate</source>
   <translation>가장 큰 학습률</translation>
  </message>
  <message>
   <source>Weight decay</source>
   <translation>가중치 감쇠</translation>
  </message>
  <message>
   <source>Largest change of scale</source>
   <translation>가장 큰 축척 변화</translation>
  </message>
  <message>
   <source>Strength of variations</source>
   <translation>변형의 세기</translation>
  </message>
  <message>
   <source>Looks without progress before the end</source>
   <translation>진전이 없을 때 끝내기까지의 검토 수</translation>
  </message>
  <message>
   <source>Seed</source>
   <translation>시드</translation>
  </message>
  <message>
   <source>No layer is chosen</source>
   <translation>고른 레이어가 없습니다</translation>
  </message>
  <message>
   <source>Choose a raster layer.</source>
   <translation>래스터 레이어를 고르십시오.</translation>
  </message>
  <message>
   <source>The layer cannot be read</source>
   <translation>레이어를 읽을 수 없습니다</translation>
  </message>
  <message>
   <source>Repair its data source in the layer panel.</source>
   <translation>레이어 패널에서 데이터 원본을 고치십시오.</translation>
  </message>
  <message>
   <source>{layer} is a web layer</source>
   <translation>{layer}은(는) 웹 레이어입니다</translation>
  </message>
  <message>
   <source>Export it to a GeoTIFF first; the geoseg panel does so by itself.</source>
   <translation>먼저 GeoTIFF로 내보내십시오. geoseg 패널은 스스로 합니다.</translation>
  </message>
  <message>
   <source>The polygon layer is empty</source>
   <translation>폴리곤 레이어가 비어 있습니다</translation>
  </message>
  <message>
   <source>Choose another layer, or clear its filter.</source>
   <translation>다른 레이어를 고르거나 필터를 지우십시오.</translation>
  </message>
  <message>
   <source>The area cannot be written to {file}: {text}</source>
   <translation>영역을 {file}에 쓸 수 없습니다: {text}</translation>
  </message>
  <message>
   <source>Layer</source>
   <translation>레이어</translation>
  </message>
  <message>
   <source>Choose a raster layer</source>
   <translation>래스터 레이어를 고르십시오</translation>
  </message>
  <message>
   <source>Open a raster file</source>
   <translation>래스터 파일 열기</translation>
  </message>
  <message>
   <source>Pixel size to export at</source>
   <translation>내보낼 픽셀 크기</translation>
  </message>
  <message>
   <source>On this computer</source>
   <translation>이 컴퓨터에서</translation>
  </message>
  <message>
   <source>On the cluster at the scheduler address</source>
   <translation>스케줄러 주소의 클러스터에서</translation>
  </message>
  <message>
   <source>Through the batch command</source>
   <translation>배치 명령으로</translation>
  </message>
  <message>
   <source>Folder</source>
   <translation>폴더</translation>
  </message>
  <message>
   <source>Run</source>
   <translation>실행</translation>
  </message>
  <message>
   <source>Stop</source>
   <translation>멈춤</translation>
  </message>
  <message>
   <source>What is finished is kept; running again continues</source>
   <translation>끝난 부분은 남으며 다시 실행하면 이어집니다</translation>
  </message>
  <message>
   <source>{name} in {folder}</source>
   <translation>{folder} 안의 {name}</translation>
  </message>
  <message>
   <source>The scene's folder cannot be written; the result goes to {folder}.</source>
   <translation>장면의 폴더에 쓸 수 없어 결과를 {folder}에 둡니다.</translation>
  </message>
  <message>
   <source>Estimating ...</source>
   <translation>예상하는 중 ...</translation>
  </message>
  <message>
   <source>{px} ({columns} x {rows}) will be asked of the server, then mapped.</source>
   <translation>서버에 {px} ({columns} x {rows})를 요청한 뒤 지도로 만듭니다.</translation>
  </message>
  <message>
   <source>Exporting the web layer</source>
   <translation>웹 레이어 내보내는 중</translation>
  </message>
  <message>
   <source>Stop at once</source>
   <translation>바로 멈춤</translation>
  </message>
  <message>
   <source>Web layer: the area is exported to a GeoTIFF first.</source>
   <translation>웹 레이어: 먼저 영역을 GeoTIFF로 내보냅니다.</translation>
  </message>
  <message>
   <source>no CRS</source>
   <translation>좌표계 없음</translation>
  </message>
  <message>
   <source>{width} x {height} px of {size}, {bands} bands, {crs}</source>
   <translation>{width} x {height} px, 픽셀 {size}, 밴드 {bands}개, {crs}</translation>
  </message>
  <message>
   <source>Model</source>
   <translation>모델</translation>
  </message>
  <message>
   <source>A folder with a model may be dropped here</source>
   <translation>모델이 있는 폴더를 여기에 놓을 수 있습니다</translation>
  </message>
  <message>
   <source>Choose a model folder</source>
   <translation>모델 폴더 고르기</translation>
  </message>
  <message>
   <source>Options</source>
   <translation>옵션</translation>
  </message>
  <message>
   <source>All options</source>
   <translation>모든 옵션</translation>
  </message>
  <message>
   <source>geoseg: land-cover map</source>
   <translation>geoseg: 토지 피복 지도</translation>
  </message>
  <message>
   <source>geoseg is mapping ...</source>
   <translation>geoseg가 지도를 만드는 중 ...</translation>
  </message>
  <message>
   <source>Starting the engine</source>
   <translation>엔진을 시작하는 중</translation>
  </message>
  <message>
   <source>{done} of {blocks} blocks</source>
   <translation>블록 {blocks}개 중 {done}개</translation>
  </message>
  <message>
   <source>Going on: {text}</source>
   <translation>이어서 하는 중: {text}</translation>
  </message>
  <message>
   <source>{speed}/s, {time} left</source>
   <translation>초당 {speed}, {time} 남음</translation>
  </message>
  <message>
   <source>Writing polygons</source>
   <translation>폴리곤 쓰는 중</translation>
  </message>
  <message>
   <source>Joining small regions</source>
   <translation>작은 구역 합치는 중</translation>
  </message>
  <message>
   <source>Writing rasters</source>
   <translation>래스터 쓰는 중</translation>
  </message>
  <message>
   <source>Writing metadata</source>
   <translation>메타데이터 쓰는 중</translation>
  </message>
  <message>
   <source>Calibrating</source>
   <translation>보정하는 중</translation>
  </message>
  <message>
   <source>Measuring the model</source>
   <translation>모델 측정하는 중</translation>
  </message>
  <message>
   <source>Reading labels: {done} of {blocks} blocks</source>
   <translation>라벨 읽는 중: 블록 {blocks}개 중 {done}개</translation>
  </message>
  <message>
   <source>Batch {step} of {steps}, loss {loss}</source>
   <translation>배치 {step}/{steps}, 손실 {loss}</translation>
  </message>
  <message>
   <source>Batch {step}: mean IoU {iou} on validation ground</source>
   <translation>배치 {step}: 검증 땅에서 평균 IoU {iou}</translation>
  </message>
  <message>
   <source>Done</source>
   <translation>완료</translation>
  </message>
  <message>
   <source>geoseg land-cover maps</source>
   <translation>geoseg 토지 피복 지도</translation>
  </message>
  <message>
   <source>{n} s</source>
   <translation>{n}초</translation>
  </message>
  <message>
   <source>{n} min</source>
   <translation>{n}분</translation>
  </message>
  <message>
   <source>{h} h {m} min</source>
   <translation>{h}시간 {m}분</translation>
  </message>
  <message>
   <source>Class</source>
   <translation>클래스</translation>
  </message>
  <message>
   <source>Area</source>
   <translation>면적</translation>
  </message>
  <message>
   <source>Share</source>
   <translation>비율</translation>
  </message>
  <message>
   <source>Size</source>
   <translation>크기</translation>
  </message>
  <message>
   <source>Time</source>
   <translation>시간</translation>
  </message>
  <message>
   <source>The same again</source>
   <translation>똑같이 다시 하려면</translation>
  </message>
  <message>
   <source>No map yet. When a run is done, its areas are shown here.</source>
   <translation>아직 지도가 없습니다. 실행이 끝나면 면적이 여기에 나옵니다.</translation>
  </message>
  <message>
   <source>Open report</source>
   <translation>보고서 열기</translation>
  </message>
  <message>
   <source>Zoom to map</source>
   <translation>지도로 확대</translation>
  </message>
  <message>
   <source>This engine cannot use a scheduler address</source>
   <translation>이 엔진은 스케줄러 주소를 쓸 수 없습니다</translation>
  </message>
  <message>
   <source>Update it, or run through a batch command.</source>
   <translation>업데이트하거나 배치 명령으로 실행하십시오.</translation>
  </message>
  <message>
   <source>There is no scheduler address</source>
   <translation>스케줄러 주소가 없습니다</translation>
  </message>
  <message>
   <source>Write it down on the Engine page.</source>
   <translation>엔진 페이지에 적으십시오.</translation>
  </message>
  <message>
   <source>Copy</source>
   <translation>복사</translation>
  </message>
  <message>
   <source>Result folder. [default: SCENE's name + _geoseg, in the current folder]</source>
   <translation>결과 폴더. [기본값: 현재 폴더 안의 장면 이름 + _geoseg]</translation>
  </message>
  <message>
   <source>Bundled model, or a model folder.</source>
   <translation>함께 설치된 모델 또는 모델 폴더.</translation>
  </message>
  <message>
   <source>Scene bands for the model's inputs, by number or name, e.g. 3,2,1 or red,green,blue. [default: by name]</source>
   <translation>모델 입력으로 쓸 장면의 밴드를 번호나 이름으로, 예: 3,2,1 또는 red,green,blue. [기본값: 이름으로]</translation>
  </message>
  <message>
   <source>Map only this area: a polygon file, or left,bottom,right,top in the scene's CRS.</source>
   <translation>이 영역만 지도로: 폴리곤 파일, 또는 장면 좌표계의 왼쪽,아래,오른쪽,위.</translation>
  </message>
  <message>
   <source>Write the polygons in this format too, beside GeoPackage; may be repeated.</source>
   <translation>폴리곤을 GeoPackage 말고 이 형식으로도 씁니다. 여러 번 줄 수 있습니다.</translation>
  </message>
  <message>
   <source>Write no polygons at all.</source>
   <translation>폴리곤을 쓰지 않습니다.</translation>
  </message>
  <message>
   <source>Join smaller regions to the neighbour with the longest common edge, e.g. 100m2 or 16px. [default: keep all]</source>
   <translation>이보다 작은 구역을 가장 길게 맞닿은 이웃에 합칩니다, 예: 100m2 또는 16px. [기본값: 모두 둠]</translation>
  </message>
  <message>
   <source>Take corners out of the polygons, e.g. 2px or 0.5m, without gaps or overlaps; 0 follows the pixels exactly. [default: 1px, or 0 with --smooth]</source>
   <translation>폴리곤의 꼭짓점을 틈이나 겹침 없이 줄입니다, 예: 2px 또는 0.5m. 0이면 픽셀을 그대로 따릅니다. [기본값: 1px, --smooth이면 0]</translation>
  </message>
  <message>
   <source>Corners go where they lie nearer than LENGTH to the line that remains, or where their triangle is smaller than LENGTH squared.</source>
   <translation>남는 선까지의 거리가 LENGTH보다 가깝거나, 삼각형이 LENGTH의 제곱보다 작은 꼭짓점을 없앱니다.</translation>
  </message>
  <message>
   <source>Take the staircase out of the polygons, by less than half a pixel and without gaps or overlaps.</source>
   <translation>폴리곤의 계단 모양을 반 픽셀 안에서 틈이나 겹침 없이 없앱니다.</translation>
  </message>
  <message>
   <source>One multipolygon per class, not one polygon per region.</source>
   <translation>구역마다가 아니라 클래스마다 멀티폴리곤 하나를 만듭니다.</translation>
  </message>
  <message>
   <source>With 8, regions of a class that touch at a corner are one multipolygon. --min-area counts regions that share edges in either case.</source>
   <translation>8이면 모서리로 닿은 같은 클래스의 구역이 한 멀티폴리곤이 됩니다. --min-area는 어느 쪽이든 변을 공유하는 구역을 셉니다.</translation>
  </message>
  <message>
   <source>CRS of the polygons, e.g. EPSG:4326. [default: that of the map]</source>
   <translation>폴리곤의 좌표계, 예: EPSG:4326. [기본값: 지도의 좌표계]</translation>
  </message>
  <message>
   <source>Write the polygons into this database too, postgresql://user@host/database. The password is better left to PGPASSWORD or ~/.pgpass.</source>
   <translation>폴리곤을 이 데이터베이스에도 씁니다, postgresql://user@host/database. 비밀번호는 PGPASSWORD나 ~/.pgpass에 두는 것이 좋습니다.</translation>
  </message>
  <message>
   <source>Table for --postgis, or SCHEMA.TABLE. [default: the raster's name + _polygons]</source>
   <translation>--postgis의 테이블, 또는 SCHEMA.TABLE. [기본값: 래스터 이름 + _polygons]</translation>
  </message>
  <message>
   <source>With --min-area, also write the class raster as it was before: classes_raw.tif.</source>
   <translation>--min-area와 함께, 합치기 전의 분류 래스터도 씁니다: classes_raw.tif.</translation>
  </message>
  <message>
   <source>Write confidence.tif.</source>
   <translation>confidence.tif를 씁니다.</translation>
  </message>
  <message>
   <source>Write scores.tif, one band per class.</source>
   <translation>클래스마다 밴드 하나인 scores.tif를 씁니다.</translation>
  </message>
  <message>
   <source>Write seams.tif and one number: where and how much overlapping windows disagree. Costs extra windows around every block.</source>
   <translation>겹친 창이 어디서 얼마나 어긋나는지 seams.tif와 수치 하나를 씁니다. 블록 둘레에 창이 더 필요합니다.</translation>
  </message>
  <message>
   <source>Pixel size to assume instead of the file's own.</source>
   <translation>파일의 픽셀 크기 대신 가정할 크기.</translation>
  </message>
  <message>
   <source>Scene values that stand for the ends of the model's range.</source>
   <translation>모델 범위의 양 끝에 해당하는 장면의 값.</translation>
  </message>
  <message>
   <source>Pixels of this value in all bands are nodata, beside what the file declares.</source>
   <translation>모든 밴드가 이 값인 픽셀은, 파일이 정한 것 외에도 nodata입니다.</translation>
  </message>
  <message>
   <source>A pixel is nodata where any, or only where all, of its bands are as declared.</source>
   <translation>밴드 중 하나라도, 또는 모두가 정해진 값일 때 픽셀이 nodata입니다.</translation>
  </message>
  <message>
   <source>How windows are joined; auto follows the model's card.</source>
   <translation>창을 잇는 방법. auto는 모델의 카드를 따릅니다.</translation>
  </message>
  <message>
   <source>Where the network runs.</source>
   <translation>신경망을 돌릴 곳.</translation>
  </message>
  <message>
   <source>Number format; auto uses bf16 where the device computes in it and the model's card says that it does not change the map.</source>
   <translation>숫자 형식. auto는 장치가 지원하고 카드가 지도를 바꾸지 않는다고 할 때 bf16을 씁니다.</translation>
  </message>
  <message>
   <source>What runs the network; auto takes OpenVINO on the CPU where it is installed and the model has programs for it, else torch.</source>
   <translation>신경망을 실행하는 라이브러리. auto는 CPU에서 OpenVINO가 설치되어 있고 모델에 그 프로그램이 있으면 OpenVINO를, 아니면 torch를 씁니다.</translation>
  </message>
  <message>
   <source>Side of the unit of work and resume. [default: automatic]</source>
   <translation>작업과 재개 단위의 한 변. [기본값: 자동]</translation>
  </message>
  <message>
   <source>Side of what the model sees at once. [default: automatic]</source>
   <translation>모델이 한 번에 보는 것의 한 변. [기본값: 자동]</translation>
  </message>
  <message>
   <source>Context around the part of a window that is kept. [default: automatic]</source>
   <translation>창에서 남기는 부분 둘레의 문맥. [기본값: 자동]</translation>
  </message>
  <message>
   <source>Windows per forward pass. [default: automatic]</source>
   <translation>한 번에 신경망을 지나는 창의 수. [기본값: 자동]</translation>
  </message>
  <message>
   <source>Blocks worked on at a time. [default: automatic]</source>
   <translation>동시에 처리하는 블록의 수. [기본값: 자동]</translation>
  </message>
  <message>
   <source>Replace the results of an earlier run.</source>
   <translation>앞선 실행의 결과를 바꿉니다.</translation>
  </message>
  <message>
   <source>File to make, ending in .gpkg, .fgb, .parquet or .geojson; may be repeated. Needed unless there is --postgis.</source>
   <translation>만들 파일, .gpkg, .fgb, .parquet 또는 .geojson으로 끝납니다. 여러 번 줄 수 있고, --postgis가 없으면 필요합니다.</translation>
  </message>
  <message>
   <source>Write this format too, beside the first --out under its name; may be repeated.</source>
   <translation>첫 --out과 같은 이름으로 이 형식도 씁니다. 여러 번 줄 수 있습니다.</translation>
  </message>
  <message>
   <source>Band of the classes. [default: the only one]</source>
   <translation>클래스가 있는 밴드. [기본값: 하나뿐인 밴드]</translation>
  </message>
  <message>
   <source>A value that is nodata beside the file's own.</source>
   <translation>파일이 정한 것 외에 nodata인 값.</translation>
  </message>
  <message>
   <source>Raster on the same grid with the confidence of every pixel: 0 to 1 as floats, 0 to 250 as bytes, or scaled as the file says.</source>
   <translation>같은 격자에 픽셀별 신뢰도가 있는 래스터: 실수 0~1, 바이트 0~250, 또는 파일에 적힌 축척.</translation>
  </message>
  <message>
   <source>Classes as id:name:#rrggbb,... or as a JSON or CSV file. [default: the raster's own]</source>
   <translation>id:name:#rrggbb,... 형식의 클래스, 또는 JSON이나 CSV 파일. [기본값: 래스터 자체의 것]</translation>
  </message>
  <message>
   <source>Replace existing files and tables.</source>
   <translation>있는 파일과 테이블을 바꿉니다.</translation>
  </message>
  <message>
   <source>Class raster, polygons or points that say what is so. One for all maps, or repeated, one for each.</source>
   <translation>실제가 무엇인지 알려 주는 분류 래스터, 폴리곤 또는 점. 모든 지도에 하나, 또는 지도마다 하나.</translation>
  </message>
  <message>
   <source>MAPs are scenes: map them with this model first, and judge that.</source>
   <translation>MAP이 장면입니다: 먼저 이 모델로 지도를 만들고 그것을 평가합니다.</translation>
  </message>
  <message>
   <source>Folder for evaluation.json and report.html. [default: the table alone]</source>
   <translation>evaluation.json과 report.html을 둘 폴더. [기본값: 표만]</translation>
  </message>
  <message>
   <source>Attribute that holds the class. [default: a usual name]</source>
   <translation>클래스가 있는 속성. [기본값: 흔한 이름]</translation>
  </message>
  <message>
   <source>What values of the reference stand for, where neither number nor name is the map's; VALUE= leaves one out. A pair with a comma goes in double quotes.</source>
   <translation>번호도 이름도 지도와 다를 때 기준 자료의 값이 뜻하는 것. VALUE=는 그 값을 뺍니다. 쉼표가 든 쌍은 큰따옴표로 묶음.</translation>
  </message>
  <message>
   <source>Ground that no polygon of the reference covers is this class, in a class raster its nodata (255 and what --match leaves out stay unknown).</source>
   <translation>기준 자료의 어느 폴리곤도 덮지 않는 땅은 이 클래스, 클래스 래스터에서는 그 nodata (255와 --match가 빼는 것은 알 수 없음).</translation>
  </message>
  <message>
   <source>Band of the classes in the reference. [default: the only one]</source>
   <translation>기준 자료에서 클래스가 있는 밴드. [기본값: 하나뿐인 밴드]</translation>
  </message>
  <message>
   <source>Take the nearest pixel of a reference raster on another grid; else it is refused.</source>
   <translation>격자가 다른 기준 래스터에서 가장 가까운 픽셀을 씁니다. 없으면 거부합니다.</translation>
  </message>
  <message>
   <source>Confidence raster on the map's grid. [default: confidence.tif beside geoseg's map]</source>
   <translation>지도와 같은 격자의 신뢰도 래스터. [기본값: geoseg 지도 옆의 confidence.tif]</translation>
  </message>
  <message>
   <source>How far apart two borders may be to count as one.</source>
   <translation>두 경계를 하나로 볼 수 있는 거리.</translation>
  </message>
  <message>
   <source>Replace an earlier evaluation.</source>
   <translation>앞선 평가를 바꿉니다.</translation>
  </message>
  <message>
   <source>Model folder to make.</source>
   <translation>만들 모델 폴더.</translation>
  </message>
  <message>
   <source>What is known of a scene: a class raster, or polygons (GeoPackage, GeoJSON, Shapefile, GeoParquet). Once for each scene.</source>
   <translation>장면에 대해 아는 것: 분류 래스터 또는 폴리곤(GeoPackage, GeoJSON, Shapefile, GeoParquet). 장면마다 한 번.</translation>
  </message>
  <message>
   <source>What values of the labels stand for; VALUE=A|B is one of the two (with --loss bce both), VALUE= is left out, VALUE=- with bce is none of the classes. A pair with a comma goes in double quotes.</source>
   <translation>라벨 값의 뜻. VALUE=A|B는 둘 중 하나(--loss bce이면 둘 다), VALUE=는 뺌, bce에서 VALUE=-는 어느 클래스도 아님. 쉼표가 든 쌍은 큰따옴표로 묶음.</translation>
  </message>
  <message>
   <source>Ground that no polygon covers is this class, in a class raster its nodata (255 and what --match leaves out stay unknown); with --loss bce - for none of the classes.</source>
   <translation>어느 폴리곤도 덮지 않는 땅은 이 클래스, 클래스 래스터에서는 그 nodata (255와 --match가 빼는 것은 알 수 없음). --loss bce에서는 - 가 어느 클래스도 아님.</translation>
  </message>
  <message>
   <source>The classes, e.g. "0:field:#d9c9a3,1:wood:#4e8f3a", or a JSON or CSV file. [default: the labels' own, with --from the model's]</source>
   <translation>클래스, 예: "0:field:#d9c9a3,1:wood:#4e8f3a", 또는 JSON이나 CSV 파일. [기본값: 라벨 자체의 것, --from이 있으면 그 모델의 것]</translation>
  </message>
  <message>
   <source>Take the nearest pixel of label rasters on another grid; else refused.</source>
   <translation>격자가 다른 라벨 래스터에서 가장 가까운 픽셀을 씁니다. 없으면 거부합니다.</translation>
  </message>
  <message>
   <source>Scene bands to train on, by number or name. [default: all but alpha; three without names are red, green, blue]</source>
   <translation>학습할 장면의 밴드를 번호나 이름으로. [기본값: 알파를 뺀 모두, 이름 없는 셋은 빨강, 초록, 파랑]</translation>
  </message>
  <message>
   <source>Pixels of this value in all bands are nodata, besides what files say.</source>
   <translation>모든 밴드가 이 값인 픽셀은, 파일에 적힌 것 외에도 nodata입니다.</translation>
  </message>
  <message>
   <source>Pixel size in metres that the model works at; scenes are brought to it. [default: that of the scenes]</source>
   <translation>모델이 쓰는 픽셀 크기(미터). 장면을 여기에 맞춥니다. [기본값: 장면의 크기]</translation>
  </message>
  <message>
   <source>Per cent of ground for training, validation and test.</source>
   <translation>학습, 검증, 시험에 쓰는 땅의 백분율.</translation>
  </message>
  <message>
   <source>Side of the blocks of ground. [default: 1024 to 128, by how much there is]</source>
   <translation>땅 블록의 한 변. [기본값: 양에 따라 1024~128]</translation>
  </message>
  <message>
   <source>Start from a model's weights; network, bands and pixel size are its own.</source>
   <translation>모델의 가중치에서 시작합니다. 신경망, 밴드, 픽셀 크기는 그 모델을 따릅니다.</translation>
  </message>
  <message>
   <source>Architecture.</source>
   <translation>구조.</translation>
  </message>
  <message>
   <source>Encoder that smp or timm knows, e.g. resnet34, mit_b0, tu-hrnet_w18.</source>
   <translation>smp나 timm이 아는 인코더, 예: resnet34, mit_b0, tu-hrnet_w18.</translation>
  </message>
  <message>
   <source>How often the encoder halves the image. [default: 5; 4 for the default network]</source>
   <translation>인코더가 영상을 반으로 줄이는 횟수. [기본값: 5, 기본 네트워크는 4]</translation>
  </message>
  <message>
   <source>Channels of the decoder of a unet, unetplusplus or manet, one for each halving. [default: 256,128,64,32,16; 96,64,32,16 for the default network]</source>
   <translation>unet, unetplusplus, manet 디코더의 채널 수, 반으로 줄이는 단계마다 하나. [기본값: 256,128,64,32,16, 기본 네트워크는 96,64,32,16]</translation>
  </message>
  <message>
   <source>Terms with factors: ce, dice, focal, lovasz; or bce for classes that overlap.</source>
   <translation>계수가 있는 항: ce, dice, focal, lovasz. 겹치는 클래스에는 bce.</translation>
  </message>
  <message>
   <source>Let rare classes weigh more in cross-entropy.</source>
   <translation>교차 엔트로피에서 드문 클래스에 무게를 더 줍니다.</translation>
  </message>
  <message>
   <source>Give a pixel its likeliest class; or shift the scores so that the mean IoU on the validation ground is highest, which finds rare classes more often.</source>
   <translation>픽셀에 가장 그럴듯한 클래스를 주거나(likeliest), 검증 지역의 평균 IoU가 가장 높아지도록 점수를 옮김(iou). 후자는 드문 클래스를 더 자주 찾음.</translation>
  </message>
  <message>
   <source>Batches. [default: 1500, or what --minutes allow]</source>
   <translation>배치 수. [기본값: 1500, 또는 --minutes가 허락하는 만큼]</translation>
  </message>
  <message>
   <source>As many batches as take about so long on this machine.</source>
   <translation>이 컴퓨터에서 이만큼 걸릴 배치 수.</translation>
  </message>
  <message>
   <source>Crops per batch.</source>
   <translation>배치당 조각 수.</translation>
  </message>
  <message>
   <source>Side of a crop.</source>
   <translation>조각의 한 변.</translation>
  </message>
  <message>
   <source>Highest learning rate.</source>
   <translation>가장 큰 학습률.</translation>
  </message>
  <message>
   <source>Weight decay of AdamW.</source>
   <translation>AdamW의 가중치 감쇠.</translation>
  </message>
  <message>
   <source>Crops are shrunk and grown by up to this factor.</source>
   <translation>조각을 이 배율까지 줄이고 늘립니다.</translation>
  </message>
  <message>
   <source>How much light, haze, blur and noise vary; 0 for not at all.</source>
   <translation>빛, 안개, 흐림, 잡음을 얼마나 바꿀지. 0이면 바꾸지 않습니다.</translation>
  </message>
  <message>
   <source>End after so many looks without progress; 0 for never.</source>
   <translation>진전 없이 이만큼 검토하면 끝냅니다. 0이면 끝내지 않습니다.</translation>
  </message>
  <message>
   <source>Of split, crops and weights.</source>
   <translation>나눔, 조각, 가중치의 시드.</translation>
  </message>
  <message>
   <source>auto, cpu, cuda, cuda:N or mps.</source>
   <translation>auto, cpu, cuda, cuda:N 또는 mps.</translation>
  </message>
  <message>
   <source>bf16 is mixed precision.</source>
   <translation>bf16은 혼합 정밀도입니다.</translation>
  </message>
  <message>
   <source>Threads of the CPU. [default: one per core]</source>
   <translation>CPU 스레드 수. [기본값: 코어마다 하나]</translation>
  </message>
  <message>
   <source>Name in the card. [default: the folder's]</source>
   <translation>카드에 적을 이름. [기본값: 폴더 이름]</translation>
  </message>
  <message>
   <source>One line for people.</source>
   <translation>사람을 위한 한 줄.</translation>
  </message>
  <message>
   <source>Licence of the weights.</source>
   <translation>가중치의 라이선스.</translation>
  </message>
  <message>
   <source>Replace a model folder, or an unfinished training with other settings.</source>
   <translation>모델 폴더, 또는 설정이 다른 끝나지 않은 학습을 바꿉니다.</translation>
  </message>
 </context>
</TS>
