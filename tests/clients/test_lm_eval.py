"""lm-eval: log-likelihoods over /v1/completions are transformers' on the same weights; its tasks run as they are.

What transformers said of 100 continuations is in loglikelihoods.json (make_loglikelihoods.py). It multiplies a GGUF's
weights as floats. Written out as floats they are served here, too, and the sums agree to thousandths. The file as it is
is multiplied in integers here (as libllama does), which moves a token by some hundredths.
"""

import json
import os
import pathlib
import subprocess
import sys

import gguf
import numpy
import pytest
import tokenizers
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
from tokenizers import Regex, normalizers, pre_tokenizers

from server import MODEL, RunningServer

REFERENCE = json.loads((pathlib.Path(__file__).parent / "loglikelihoods.json").read_text(encoding="utf-8"))
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPLITS = {
    "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "qwen2": [pre_tokenizers.Split(Regex(QWEN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)],
}  # fmt: skip


def tokenizer_of(file, folder):
    """The tokenizer of a GGUF in the form in which lm-eval loads one."""
    fields = GGUFReader(file).fields
    words = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges))
    pre = fields["tokenizer.ggml.pre"].contents()
    made.pre_tokenizer = pre_tokenizers.Sequence(SPLITS[pre])
    if pre == "qwen2":
        made.normalizer = normalizers.NFC()
    made.decoder = tokenizers.decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    end = words[fields["tokenizer.ggml.eos_token_id"].contents()]
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end}))
    return str(folder)


def as_floats(file, out):
    """The same model, each weight as the float that it stands for."""
    source = GGUFReader(file)
    writer = GGUFWriter(out, source.fields["general.architecture"].contents())
    for field in source.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = 0 if field.name == "general.file_type" else field.contents()
        writer.add_key_value(field.name, value, field.types[0], field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None)
    for tensor in source.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def completions(base, name, tokenizer, **more):
    return LocalCompletionsAPI(base_url=f"{base}/completions", model=name, tokenizer=tokenizer, tokenizer_backend="huggingface", **more)


def instance(kind, *arguments):
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def off_by(reference, base, name, tokenizer, step=1, **more):
    """How far from transformers, a token: (in the mean, at most). Where that is sure, the best token is the same one."""
    rows = REFERENCE[reference][::step]
    asked = completions(base, name, tokenizer, **more)
    got = asked.loglikelihood([instance("loglikelihood", row["context"], row["continuation"]) for row in rows], disable_tqdm=True)
    assert len(got) == len(rows) == 100 // step
    off = []
    for row, (logprob, is_greedy) in zip(rows, got):
        off.append(abs(logprob - row["logprob"]) / (len(row["tokens"]) - row["context_tokens"]))
        if row["margin"] > 0.5:
            assert is_greedy == row["is_greedy"], row
    mean = sum(off) / len(off)
    print(f"{reference}: off by {mean:.5f} a token in the mean, {max(off):.5f} at most")
    return mean, max(off)


def check_floats(binary, file, folder, reference):
    """A server of its own for the weights as floats."""
    running = RunningServer([binary, "serve", "--port", "0", "--model", str(as_floats(file, folder / "floats.gguf"))])
    try:
        mean, most = off_by(reference, running.url + "/v1", "floats", tokenizer_of(file, folder), tokenized_requests=True, batch_size=10)
        assert mean < 0.003 and most < 0.03
    finally:
        assert running.stop() == 0, running.log()
        (folder / "floats.gguf").unlink()


@pytest.fixture(scope="module")
def tokenizer(model_file, tmp_path_factory):
    return tokenizer_of(model_file, tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.real
def test_likelihoods_are_transformers(binary, model_file, tmp_path):
    check_floats(binary, model_file, tmp_path, MODEL)


@pytest.mark.parametrize(("tokenized", "step"), [(True, 1), (False, 5)], ids=["token ids", "texts"])
def test_likelihoods_of_integers_are_near(local, tokenizer, tokenized, step):
    mean, most = off_by(MODEL, local.url + "/v1", MODEL, tokenizer, step, tokenized_requests=tokenized, batch_size=10)
    assert mean < 0.1 and most < 0.5


def test_the_tokens_are_its_tokens(local, tokenizer):
    """What the whole comparison stands on."""
    encode = completions(local.url + "/v1", MODEL, tokenizer).tok_encode
    for row in REFERENCE[MODEL]:
        assert encode(row["context"] + row["continuation"]) == row["tokens"]


def test_the_tokenizer_may_be_the_servers(local):
    asked = LocalCompletionsAPI(base_url=f"{local.url}/v1/completions", model=MODEL, tokenizer_backend="remote")
    for row in REFERENCE[MODEL][::20]:
        assert asked.tok_encode(row["context"] + row["continuation"]) == row["tokens"]
    assert asked.eos_string == "<|im_end|>" and asked.decode_batch([[asked.eot_token_id]]) == ["<|im_end|>"]
    prompt = asked.tokenizer.apply_chat_template([{"role": "user", "content": "Name a colour."}])
    assert "<|im_start|>user\nName a colour.<|im_end|>" in prompt and prompt.endswith("<|im_start|>assistant\n")


def test_texts_are_written_up_to_their_end(local, tokenizer):
    asked = completions(local.url + "/v1", MODEL, tokenizer, max_gen_toks=12)
    told = {"until": ["\n", "."], "max_gen_toks": 12, "do_sample": False, "temperature": 0.0}
    said = asked.generate_until([instance("generate_until", f"The capital of {one} is", told) for one in ("France", "Italy")], disable_tqdm=True)
    assert len(said) == 2 and all(one and "." not in one and "\n" not in one for one in said), said
    chat = LocalChatCompletion(base_url=local.url + "/v1/chat/completions", model=MODEL, tokenizer_backend=None, max_gen_toks=12)
    prompt = chat.apply_chat_template([{"role": "user", "content": "Name a colour."}])
    assert chat.generate_until([instance("generate_until", prompt, told)], disable_tqdm=True)[0]


TASK = """
task: capitals
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "The capital of {{{{country}}}} is"
doc_to_choice: ["Paris", "Rome", "Oslo"]
doc_to_target: answer
metric_list: [{{metric: acc}}]
"""


def test_a_task_runs_from_its_command_line(local, tokenizer, tmp_path):
    (tmp_path / "capitals.jsonl").write_text("".join(
        json.dumps({"country": country, "answer": i}) + "\n" for i, country in enumerate(("France", "Italy", "Norway"))))  # fmt: skip
    (tmp_path / "capitals.yaml").write_text(TASK.format(data=tmp_path / "capitals.jsonl"))
    arguments = f"model={MODEL},base_url={local.url}/v1/completions,tokenizer={tokenizer},tokenizer_backend=huggingface,num_concurrent=2"
    argv = [sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args", arguments, "--tasks", "capitals",
            "--include_path", tmp_path, "--output_path", tmp_path / "out"]  # fmt: skip
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hub")}
    ended = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=250, env=environment)
    assert ended.returncode == 0, ended.stderr[-4000:]
    (written,) = (tmp_path / "out").rglob("results*.json")
    assert json.loads(written.read_text())["results"]["capitals"]["acc,none"] == 1.0


@pytest.mark.real
def test_a_real_models_likelihoods_are_transformers(binary, real, real_file, tmp_path):
    check_floats(binary, real_file, tmp_path, real[1])
    mean, most = off_by(real[1], *real, tokenizer_of(real_file, tmp_path), tokenized_requests=True, batch_size=10)
    assert mean < 0.1 and most < 0.5
