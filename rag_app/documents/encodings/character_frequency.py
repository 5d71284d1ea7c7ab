"""Characters that Chinese, Japanese and Korean text is made of, which tell encodings apart."""

from functools import cache

# The 600 most frequent characters of Chinese news and encyclopedia text (four fifths of all
# characters), in order of frequency, and the traditional forms of those that have one.
FREQUENT = (
    "的一中在人国日大有了是为年区和发月上时地部市作不行生出会水多新动家文成个全到公工对以来员等海正分方于民业北现道进开后"
    "场长前学要通这者体电安次力高报与队关经任展过将加能自天们下同主小合子查防他车河路用台运理实应务名事法机更原网重影记及南"
    "表山心面也可提京位化保美本雨看当间题据都西被强建其受情目定已至平标东赛外示得内回好社物责政第救最设量此点入米活局我编度"
    "特灾斯委还期布消州江持流并品共信金里组之起风利总门省警制管线三产相联资近交就程调比众明科称书站演气导从辑城军洪所服处司"
    "立两预计援降尔续式系息常由急向级基广各指院险代球说元数女视搜意因施色性手着今返首图响万集项华身参团而支统推达供该解办创"
    "域源战无亚接造县客张号群商带如步打王领口取狐列告二获房治少环种感游境拉求直质然育选铁片世复头但她约克友专医么举党做营兰"
    "罗知别完教结引排转观空件议十旅林居村助单马传周镇况青增协乐火决象很港规段注备没超升航老积界企德问龙些或落整深技收府护放"
    "害际让济准监需剧术四条形什热研确清精使未非职果汛格态包花案致认停每去暴官李己边巴闻爱置检园副连样击馆反极类神改志普严费"
    "星桥抢限范摄俄型移难快效投先健牌优班给见节白失街采断纪具食显往维角速儿变太光干校阿紧黄走障卫尼宁随装织离士宣亿声势户红"
    "足值师再想历票满始某午命曾石修证黑卡库男双余依送启只武岛艺措构孩兴划夏易较根围住验威何康播陈即切飞波读真望故香评权模低"
    "密执韩刘峰媒功遇挥晚景"
    "並亞來個們備傳億優兒內兩別創劃劇劉動務勢區協參員問啓單嚴國圍園圖團執報場學實寧將專對導峯島師帶幹庫廣張強後從復愛態應"
    "戰戶採揮搶擊據攝數斷於時書會東條業極構樂標樣橋機檢權歷氣決沒況準滿濟災無熱營爲爾獲現環產當發監確種稱積節範紀約紅級組"
    "結給統經維網緊線編縣總織續羅羣聞聯聲職臺與興舉華萬藝蘭處號衆術衛裏裝見規視觀計記設評該認說調證議護讀變讓責費資質賽車"
    "軍較輯轉辦這連進遊運過達選還邊醫鎮鐵長門開間關陳隊際隨險雙離難電韓響項預領頭題類顯風飛餘館馬驗體麼黃點黨龍為啟群裡眾"
    "你您吗嗎呢吧啊那哪谁誰"
)
PUNCTUATION = "，。、：“”（）《》？；！·—…‘’「」『』【】〈〉～　％￥"


@cache
def frequent() -> frozenset[str]:
    """Return the characters that make up most of any Chinese text, with its punctuation."""
    return frozenset(FREQUENT + PUNCTUATION)


@cache
def ordinary() -> frozenset[str]:
    """Return the characters in everyday use: level 1 of GB 2312 and of Big5.

    Both standards put the frequent characters first: rows 16-55 of GB 2312-80 (3,755 characters)
    and the block A440-C67E of Big5 (5,401).
    """
    simplified = (
        bytes([row, cell]).decode("gb2312", "ignore")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF)
    )
    traditional = (
        bytes([row, cell]).decode("big5", "ignore")
        for row in range(0xA4, 0xC7)
        for cell in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    )
    return frozenset("".join(simplified) + "".join(traditional))


@cache
def ordinary_chinese() -> frozenset[str]:
    """Return the characters of which Chinese text has few others."""
    return ordinary() | frequent()


HANGUL = (
    "이다는에의을가하고지로한기도사은를대시서정어자인리그해일들수장원있나보제아상전부만라으년것스게주여과구공안면성동비경연"
    "용조무소와오였었위관국계실신유마학모중생적방우세교회행업출통내때없화미개선영당문물않음치식진호금번까각반후니습합요드"
    "트단점월간더력민발재체입산현결타"
)
"""The syllables that make up about three quarters of Korean text."""


@cache
def frequent_hangul() -> frozenset[str]:
    """Return the most frequent syllables of Korean."""
    return frozenset(HANGUL)


@cache
def ordinary_kanji() -> frozenset[str]:
    """Return the Kanji in everyday use: level 1 of JIS X 0208, rows 16-47 (2,965 characters)."""
    return frozenset(
        "".join(
            bytes([row, cell]).decode("euc_jp", "ignore")
            for row in range(0xB0, 0xD0)
            for cell in range(0xA1, 0xFF)
        )
    )


@cache
def ordinary_japanese() -> frozenset[str]:
    """Return the characters of which Japanese text has few others."""
    return ordinary_kanji() | frequent() | frozenset(map(chr, range(0x3041, 0x30FB)))


@cache
def hangul() -> frozenset[str]:
    """Return the 2,350 syllables of KS X 1001, rows 16-40, of which Korean text has few others."""
    return frozenset(
        bytes([row, cell]).decode("euc_kr")
        for row in range(0xB0, 0xC9)
        for cell in range(0xA1, 0xFF)
    )
