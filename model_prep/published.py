"""The SHA256 of the family's files as its authors published them: data only.

The family: Chinese-LLaMA and Chinese-Alpaca (Cui, Yang and Yao 2023, arXiv 2304.08177). The merged
``.pth`` files were written by PyTorch 1.13, whose zips differ from those of today.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One model and its files, in order."""

    name: str
    files: dict[str, str]
    """Name of the file → SHA256."""


def _pth(name: str, *digests: str) -> Published:
    return Published(name, {f"consolidated.{n:02}.pth": one for n, one in enumerate(digests)})


def _lora(name: str, digest: str) -> Published:
    return Published(name, {"adapter_model.bin": digest})


def _tokenizer(name: str, digest: str) -> Published:
    return Published(name, {"tokenizer.model": digest})


PUBLISHED = (
    _pth("LLaMA-7B", "700df0d3013b703a806d2ae7f1bfb8e59814e3d06ae78be0c66368a50059f33d"),
    _pth(
        "LLaMA-13B",
        "745bf4e29a4dd6f411e72976d92b452da1b49168a4f41c951cfcc8051823cf08",
        "d5ccbcc465c71c0de439a5aeffebe8344c68a519bce70bc7f9f92654ee567085",
    ),
    _pth(
        "LLaMA-33B",
        "e23294a58552d8cdec5b7e8abb87993b97ea6eced4178ff2697c02472539d067",
        "4e077b7136c7ae2302e954860cf64930458d3076fcde9443f4d0e939e95903ff",
        "24a87f01028cbd3a12de551dcedb712346c0b5cbdeff1454e0ddf2df9b675378",
        "1adfcef71420886119544949767f6a56cb6339b4d5fcde755d80fe68b49de93b",
    ),
    Published(
        "LLaMA-7B-HF",
        {
            "pytorch_model-00001-of-00002.bin": (
                "0087155d6df07106c1d910bfeb6aab1be8e612dfbf2b56ddfb4ccbde7dbd50d0"
            ),
            "pytorch_model-00002-of-00002.bin": (
                "461bc5e50200db7813ff99cc0b9316c48ccbd6aaaa31bf8cf7bee0b64bc3eda3"
            ),
        },
    ),
    _pth("Chinese-LLaMA-7B", "245427a306e3253db3f534e2a1d7548a8eb781ae8761f9e98979b4aced6b43d8"),
    _pth(
        "Chinese-LLaMA-Plus-7B", "f8d380d63f77a08b7f447f5ec63f0bb1cde9ddeae2207e9f86e6b5f0f95a7955"
    ),
    _pth(
        "Chinese-LLaMA-13B",
        "aa7f4599487ea2b0d0aca2b522c39370897f9afd9839aac7d02155957f1f019f",
        "3954f3e7f7264994f23800a04423e6563cc1959ac699d9eaaa6801b4f9392ebd",
    ),
    _pth(
        "Chinese-LLaMA-Plus-13B",
        "4de7d188003c778f216342de2dc5c9a9c74278c701c63a7b6bcd7957f5ebfdf5",
        "ff8046f9eb8b05dd86597c21edd07894aec00b31842a4c11996a4003091ea7c9",
    ),
    _pth("Chinese-Alpaca-7B", "fbfccc91183169842aac8d093379f0a449b5a26c5ee7a298baf0d556f1499b90"),
    _pth(
        "Chinese-Alpaca-Plus-7B",
        "8b8f6551d0d83f93e378622b9f8dad0bec189da6c29d8a78de493e6aee9bd35f",
    ),
    _pth(
        "Chinese-Alpaca-13B",
        "30cefb5be9091c3e17fbba5d91bf16266a2ddf86cde53370a9982b232ff8a2f4",
        "ce946742b0f122f472e192c3f77d506e0c26578b4b881d07d919553333affecd",
    ),
    _pth(
        "Chinese-Alpaca-Plus-13B",
        "1834558214c1dddc0d8b2826ece086908b9d2293241d0e12cecb48a035ec561b",
        "bf70001600ce166f6ca4ef59df5510f0582cdc119fb74e27d9cf3e4c7b142015",
    ),
    _lora(
        "Chinese-LLaMA-Plus-LoRA-7B",
        "8c928db86b2a0cf73f019832f921eb7e1e069ca21441b4bfa12c4381c6cc46be",
    ),
    _lora(
        "Chinese-Alpaca-Plus-LoRA-7B",
        "4ee0bf805c312a9a771624d481fbdb4485e1b0a70cd2a8da9f96137f177b795d",
    ),
    _lora(
        "Chinese-LLaMA-Plus-LoRA-13B",
        "784fcff9c4bdf4e77d442a01158e121caf8fcce0f97ffb32396fe7a3617ee7e8",
    ),
    _lora(
        "Chinese-Alpaca-Plus-LoRA-13B",
        "a1fcdcb6d7e1068f925fb36ec78632c76058ba12ba352bed4d44060b8e6f4706",
    ),
    _tokenizer(
        "LLaMA-tokenizer", "9e556afd44213b6bd1be2b850ebbbd98f5481437a8021afaf58ee7fb1818d347"
    ),
    _tokenizer(
        "Chinese-LLaMA-tokenizer",
        "e2676d4ca29ca1750f6ff203328d73b189321dc5776ceede037cbd36541d70c0",
    ),
    _tokenizer(
        "Chinese-Alpaca-tokenizer",
        "2d967e855b1213a439df6c8ce2791f869c84b4f3b6cfacf22b86440b8192a2f8",
    ),
    Published(
        "Chinese-SentencePiece",
        {"chinese_sp.model": "0f5f6f717181694ec2e1c9be4398e2db2e40a3902932325b06e12ad4cd64ac09"},
    ),
)
