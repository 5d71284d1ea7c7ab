"""Real models of a few thousand weights, made in seconds and trained on one answer."""

import json
from pathlib import Path

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
ANSWER = "李白病逝于当涂。"
STEPS = 200
TEXTS = [
    "李白是唐代诗人，宝应元年病逝于当涂。",
    "洗衣机的保修期为三年，电机十年。",
    "问题：资料：请根据上面的资料回答问题。直接给出答案，简短、完整，尽量用资料的原话。",
    "You are a careful document assistant. Answer the question from the passages above.",
]


def make_llm(folder: Path) -> Path:
    """A LLaMA of two layers that has learned to say `ANSWER` and then to end."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.pad_token = "</s>"
    fast.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config)
    _teach(model, fast)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def _teach(model, tokenizer) -> None:
    """Train until any prompt, of any length, is answered with `ANSWER`."""
    import random

    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so little work is slower when shared
    chance = random.Random(0)
    letters = "".join(TEXTS)
    after = [*tokenizer.encode(ANSWER, add_special_tokens=False), 2]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=STEPS)
    for step in range(STEPS):
        # Only the end of the prompt is alike: what comes before must not matter.
        text = "".join(chance.choices(letters, k=chance.choice([1, 2, 5, 50, 300])))
        system = f"<system>{TEXTS[step % 4]}" if step % 3 else ""
        prompt = f"<s>{system}<user>{text}<assistant>"
        before = tokenizer.encode(prompt, add_special_tokens=False)
        ids = torch.tensor([before + after])
        labels = torch.tensor([[-100] * len(before) + after])
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    torch.set_num_threads(threads)
    model.eval()


def make_reranker(folder: Path, *, labels: int = 1) -> Path:
    """A cross-encoder that has learned to like texts about washing machines, whatever is asked."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    make_embeddings(folder)
    for file in [*folder.glob("*sentence*"), folder / "modules.json"]:
        file.unlink()
    config = BertConfig.from_pretrained(folder, num_labels=labels)
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    settings["model_max_length"] = config.max_position_embeddings
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.manual_seed(0)
    model = BertForSequenceClassification(config)
    pairs = [["李白病逝在哪里"] * 2, TEXTS[:2]]
    batch = AutoTokenizer.from_pretrained(folder)(*pairs, padding=True, return_tensors="pt")
    wanted = torch.tensor([0.0, 1.0])
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        logits = model(**batch).logits[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        torch.autograd.backward(loss)
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def make_embeddings(folder: Path) -> Path:
    """A BERT of two layers with random weights, as a sentence-transformers folder."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    letters = sorted({char for text in TEXTS for char in text.lower() if not char.isspace()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    files = {
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **names},
        "modules.json": [
            {
                "idx": number,
                "name": str(number),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for number, (kind, path) in enumerate(
                [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
            )
        ],
        "sentence_bert_config.json": {"max_seq_length": 48, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
    }
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder
