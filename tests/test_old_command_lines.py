"""The command lines of Chinese-LLaMA-Alpaca's tutorial, of which only the program is another.

Each is written here as it stands there, but for the names of folders, and is run on tiny models.
"""

import json
import os
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import model_prep.cli
import rag_app.cli
from tests.model_prep.crawl.chat_server import KEY, serve
from tests.model_prep.llama.meta_llama import make_meta
from tests.model_prep.tiny_llama import make_llama
from tests.model_prep.tiny_loras import make_loras
from tests.tokenizers import Tokenizers, piece_count

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

PRETRAIN = """model-prep pretrain
    --model_name_or_path llama-hf --tokenizer_name_or_path chinese-tokenizer
    --dataset_dir texts --data_cache_dir cache --validation_split_percentage 0.1
    --per_device_train_batch_size 1 --per_device_eval_batch_size 1 --do_train --seed {seed} --fp16
    --max_steps 2 --lr_scheduler_type cosine --learning_rate 2e-4 --warmup_ratio 0.05
    --weight_decay 0.01 --logging_strategy steps --logging_steps 10 --save_strategy steps
    --save_total_limit 3 --save_steps 500 --gradient_accumulation_steps 1
    --preprocessing_num_workers 8 --block_size 64 --output_dir pt --overwrite_output_dir
    --ddp_timeout 30000 --logging_first_step True --lora_rank 8 --lora_alpha 32
    --trainable q_proj,v_proj,k_proj,o_proj,gate_proj,down_proj,up_proj
    --modules_to_save embed_tokens,lm_head --lora_dropout 0.05 --torch_dtype float16
    --gradient_checkpointing --ddp_find_unused_parameters False"""
SFT = """model-prep sft
    --model_name_or_path {model} --tokenizer_name_or_path {tokenizer}
    --dataset_dir sft --validation_split_percentage 0.001
    --per_device_train_batch_size 1 --per_device_eval_batch_size 1 --do_train --do_eval
    --seed {seed} --fp16 --max_steps 2 --lr_scheduler_type cosine --learning_rate 1e-4
    --warmup_ratio 0.03 --weight_decay 0 --logging_strategy steps --logging_steps 10
    --save_strategy steps --save_total_limit 3 --evaluation_strategy steps --eval_steps 250
    --save_steps 500 --gradient_accumulation_steps 1 --preprocessing_num_workers 8
    --max_seq_length 512 --output_dir {output} --overwrite_output_dir --ddp_timeout 30000
    --logging_first_step True {lora} --lora_dropout 0.05 --torch_dtype float16
    --validation_file check.json --gradient_checkpointing --ddp_find_unused_parameters False"""
NEW_LORA = """--lora_rank 8 --lora_alpha 32
    --trainable q_proj,v_proj,k_proj,o_proj,gate_proj,down_proj,up_proj
    --modules_to_save embed_tokens,lm_head"""
CURLS = [
    """curl http://localhost:19327/v1/completions -H "Content-Type: application/json"
    -d '{"prompt": "告诉我中国的首都在哪里"}'""",
    """curl http://localhost:19327/v1/chat/completions -H "Content-Type: application/json"
    -d '{"messages": [{"role": "user","message": "给我讲一些有关杭州的故事吧"}],
    "repetition_penalty": 1.0}'""",
    """curl http://localhost:19327/v1/embeddings -H "Content-Type: application/json"
    -d '{"input": "今天天气真不错"}'""",
]


def run(line: str, typed: str = "") -> Any:
    """Run a command line in this process; it must succeed."""
    program, *arguments = shlex.split(line)
    app: typer.Typer = {"model-prep": model_prep.cli.app, "rag-app": rag_app.cli.app}[program]
    done = CliRunner().invoke(app, arguments, input=typed)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return done


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def folder(trained: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tutorial's commands are run: a LLaMA and its tokenizers."""
    monkeypatch.chdir(tmp_path)
    make_llama(tmp_path / "llama-hf", trained.llama)
    shutil.copytree(trained.chinese_llama.parent, tmp_path / "chinese-tokenizer")
    shutil.copytree(trained.alpaca.parent, tmp_path / "alpaca-tokenizer")
    return tmp_path


def loras_of(folder: Path, trained: Tokenizers) -> tuple[str, str]:
    loras, _ = make_loras(folder / "llama-hf", folder, [trained.chinese_llama, trained.alpaca])
    loras[0].rename(folder / "llama-lora")
    loras[1].rename(folder / "alpaca-lora")
    return "llama-lora", "alpaca-lora"


def test_crawl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serve() as chat:
        monkeypatch.setenv("OPENAI_BASE_URL", chat.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        run("model-prep crawl test/output.txt")
    assert len(Path("test/output.txt").read_text(encoding="utf-8").splitlines()) == 20


def test_convert_and_merge(
    trained: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_meta(tmp_path / "llama" / "7B", piece_count(trained.llama))
    shutil.copy(trained.llama, tmp_path / "llama")
    run("model-prep convert --input_dir llama --output_dir llama-hf")
    one, two = loras_of(tmp_path, trained)
    merge = "model-prep merge --base_model llama-hf --lora_model"
    run(f"{merge} {one} --output_type huggingface --output_dir one")
    run(f"{merge} {one},{two} --output_type huggingface --output_dir both")
    run(f"{merge} {one},{two} --output_type pth --output_dir pth")
    Path("here").mkdir()
    monkeypatch.chdir("here")
    run(f"{merge.replace('llama-hf', '../llama-hf')} ../{one} --output_dir ./")
    assert Path("config.json").is_file()
    assert Path("../pth/consolidated.00.pth").is_file()
    assert Path("../both/model.safetensors").is_file()


def test_merge_tokenizers(folder: Path, trained: Tokenizers) -> None:
    shutil.copy(trained.chinese, folder / "chinese_sp.model")
    run(
        "model-prep merge-tokenizer --llama_tokenizer_dir llama-hf "
        "--chinese_sp_model_file chinese_sp.model"
    )
    merged = Path("merged_tokenizer_hf/tokenizer.model").read_bytes()
    assert Path("merged_tokenizer_sp/chinese_llama.model").read_bytes() == merged


def test_inference(folder: Path, trained: Tokenizers) -> None:
    one, two = loras_of(folder, trained)
    infer = f"model-prep infer --base_model llama-hf --lora_model {one},{two} --max_new_tokens 3"
    assert run(f"{infer} --with_prompt --interactive", typed="你好\n").stdout.strip()
    assert run(f"{infer} --with_prompt").stdout.strip()  # the script's own examples
    assert run(f"{infer} --with_prompt --alpha 2.0 你好").stdout.strip()
    Path("q.txt").write_text("李白是谁？\n洗衣机\n", encoding="utf-8")
    run(f"{infer} --data_file q.txt --predictions_file new/folder/p.json --with_prompt")
    predictions = json.loads(Path("new/folder/p.json").read_text(encoding="utf-8"))
    assert [record["input"] for record in predictions] == ["李白是谁？", "洗衣机"]


def test_names_in_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that lies in the hub's cache is found; one that can't be had is one line."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    snapshot = cache / "models--ziqingyang--llama" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    Path("llama-hf").rename(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    line = "model-prep infer --base_model {} --max_new_tokens 2 hello"
    assert run(line.format("ziqingyang/llama")).stdout
    _, *arguments = shlex.split(line.format("ziqingyang/chinese-alpaca"))
    done = CliRunner().invoke(model_prep.cli.app, arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "can't be had from the hub" in done.stderr


def test_predictions_that_can_not_be_written_are_seen_first(folder: Path) -> None:
    Path("q.txt").write_text("你好\n", encoding="utf-8")
    line = "infer --base_model nowhere --data_file q.txt --predictions_file q.txt/p.json"
    done = CliRunner().invoke(model_prep.cli.app, shlex.split(line))
    assert done.exit_code == 1
    assert "--predictions-file" in done.stderr


def write_data(folder: Path) -> None:
    (folder / "texts").mkdir()
    (folder / "sft").mkdir()
    text = "李白是唐代诗人，宝应元年病逝于当涂。\n" * 60
    for number in range(4):
        (folder / "texts" / f"{number}.txt").write_text(text, encoding="utf-8")
    records = [{"instruction": f"第{n}题？", "input": "", "output": f"李白{n}。"} for n in range(8)]
    for name in ("sft/data.json", "check.json"):
        (folder / name).write_text(json.dumps(records), encoding="utf-8")


def test_pretraining_and_tuning_twice(folder: Path) -> None:
    write_data(folder)
    for seed in (11, 22):  # $RANDOM
        said = run(PRETRAIN.format(seed=seed)).stderr
        assert "pt holds the adapter" in said
        assert "float16 is float32 on a CPU" in said
    run("model-prep merge --base_model llama-hf --lora_model pt --output_dir chinese-llama")
    words = {"model": "chinese-llama", "tokenizer": "alpaca-tokenizer", "output": "alpaca"}
    for seed in (33, 44):
        assert "alpaca holds" in run(SFT.format(seed=seed, lora=NEW_LORA, **words)).stderr
    words |= {"output": "on"}
    assert "on holds" in run(SFT.format(seed=5, lora="--peft_path alpaca", **words)).stderr


def test_the_tutorials_deepspeed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model_prep.training import trainer_arguments

    content = {"fp16": {"enabled": "auto", "loss_scale": 0, "min_loss_scale": 1e-10}}
    file = tmp_path / "ds_zero2_no_offload.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    config = trainer_arguments.deepspeed_config(str(file))
    assert config["fp16"]["min_loss_scale"] == 1
    assert isinstance(config["fp16"]["min_loss_scale"], int)


def test_a_stopped_build_of_deepspeed_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_prep.errors import TrainingError
    from model_prep.training.settings import SftSettings, make_settings
    from model_prep.training.trainer_arguments import require_processes

    lock = tmp_path / "extensions" / "deepspeed_shm_comm" / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(lock.parent.parent))
    monkeypatch.setenv("RANK", "0")
    options = {"model": tmp_path, "data": tmp_path, "output_dir": tmp_path, "deepspeed": "zero2"}
    lora = {"lora_rank": 2, "lora_alpha": 4, "target_modules": "q_proj"}
    settings = make_settings(SftSettings, options | lora)
    require_processes(settings)  # another one may be under way
    os.utime(lock, (0, 0))
    with pytest.raises(TrainingError, match="lock was left by a build of DeepSpeed"):
        require_processes(settings)


def test_the_api_server_and_its_curls(
    folder: Path, trained: Tokenizers, tiny_embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.testclient import TestClient

    from rag_app.server import serve as serving
    from rag_app.server.app import create_app

    one, two = loras_of(folder, trained)
    answers = []

    def served(engine: Any, _listening: Any, *, access: Any, only: Any, ready: Any) -> None:
        ready()
        api = create_app(engine, access=access, only=only)
        with TestClient(api, base_url="http://localhost:19327") as client:
            for curl in CURLS:
                _, url, _, header, _, data = shlex.split(curl)
                name, value = header.split(": ")
                for _ in range(600):  # the model is loaded meanwhile
                    answer = client.post(url, headers={name: value}, content=data.encode())
                    if answer.status_code != 503:
                        break
                    time.sleep(0.5)
                answers.append(answer)

    monkeypatch.setattr(serving, "run", served)
    run(
        f"rag-app serve --base_model llama-hf --tokenizer_path {two} --lora_model {one},{two} "
        f"--embedding_path '{tiny_embeddings}' --max-new-tokens 2 --port 0"
    )
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    completion, chat, embedding = (answer.json() for answer in answers)
    assert isinstance(completion["choices"][0]["text"], str)
    assert isinstance(chat["choices"][0]["message"]["content"], str)
    assert embedding["data"][0]["embedding"]


@pytest.mark.parametrize("chain", ["refine", "stuff"])
def test_the_two_langchain_scripts(
    tmp_path: Path, tiny_llm: Path, tiny_embeddings: Path, chain: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("doc.txt").write_text("李白是唐代诗人，宝应元年病逝于当涂。", encoding="utf-8")
    models = f"--model_path '{tiny_llm}' --file_path doc.txt --chain_type {chain}"
    asked = run(
        f"rag-app ask --embedding_path '{tiny_embeddings}' {models} --threshold 0",
        typed="李白病逝于哪里？\n\n",
    )
    assert "李白病逝于当涂" in asked.stdout
    assert run(f"rag-app summarize {models}").stdout.strip()


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, tiny_llm: Path) -> None:
    Path("doc.txt").write_text("李白是唐代诗人。", encoding="utf-8")
    line = f"summarize --model_path '{tiny_llm}' --file_path doc.txt --gpus 0"
    done = CliRunner().invoke(rag_app.cli.app, shlex.split(line))
    assert (done.exit_code, "there is no GPU 0" in done.stderr) == (1, True)


@pytest.mark.parametrize("command", ["ask", "summarize", "serve"])
def test_old_names_are_in_the_help(command: str) -> None:
    shown = CliRunner().invoke(rag_app.cli.app, [command, "--help"], terminal_width=200).stdout
    assert "--model_path" in shown
    assert "--lora_model" in shown
