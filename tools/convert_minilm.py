#!/usr/bin/env python3
"""Converts all-MiniLM-L6-v2 (BERT, safetensors) to a GGUF that libllama loads: convert_minilm.py FOLDER OUT.gguf

FOLDER holds model.safetensors, config.json, tokenizer.json and 1_Pooling/config.json as the package has them.
Matrices become f16, vectors (biases, norms) and the small embeddings stay f32. The same packages
(convert_requirements.txt) and the same folder give the same bytes, so the result's checksum can be pinned.
"""

import json
import pathlib
import sys

import gguf
import numpy
import safetensors

NAME = "all-MiniLM-L6-v2"
NOT_NEEDED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def piece(token, is_special):
    """libllama's WordPiece marks a word's beginning where BERT's marks its continuation."""
    if is_special:
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def add_vocabulary(writer, folder):
    tokenizer = read_json(folder / "tokenizer.json")
    special = {token["id"]: token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    tokens = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    assert [index for _, index in tokens] == list(range(len(tokens))), "the vocabulary has holes"
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece(token, index in special) for token, index in tokens])
    kinds = [gguf.TokenType.CONTROL if index in special else gguf.TokenType.NORMAL for _, index in tokens]
    writer.add_token_types(kinds)
    ids = {content: index for index, content in special.items()}
    writer.add_bos_token_id(ids["[CLS]"])
    writer.add_unk_token_id(ids["[UNK]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_pad_token_id(ids["[PAD]"])
    writer.add_mask_token_id(ids["[MASK]"])


def add_shape(writer, folder):
    config = read_json(folder / "config.json")
    assert config["model_type"] == "bert" and config["hidden_act"] == "gelu", "not the BERT that this knows"
    assert read_json(folder / "1_Pooling" / "config.json")["pooling_mode_mean_tokens"], "not pooled by the mean"
    writer.add_name(NAME)
    writer.add_license("apache-2.0")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    return config["num_hidden_layers"]


def add_tensors(writer, folder, layers):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, layers)
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as tensors:
        for key in sorted(tensors.keys()):
            if key in NOT_NEEDED:
                continue
            name = names.get_name(key, try_suffixes=(".weight", ".bias"))
            assert name, f"no place for the tensor {key}"
            tensor = tensors.get_tensor(key)
            is_small = tensor.ndim == 1 or name.startswith(("position_embd", "token_types"))
            writer.add_tensor(name, tensor.astype(numpy.float32 if is_small else numpy.float16))


def main():
    if len(sys.argv) != 3:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    writer = gguf.GGUFWriter(sys.argv[2], gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.BERT])
    layers = add_shape(writer, folder)
    add_vocabulary(writer, folder)
    add_tensors(writer, folder, layers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
