# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keys of config.json that decide nothing about the function a model computes, whoever wrote them there.

They are passed over whatever they hold. A key that can change the function belongs to the importer of its family, or to
`VALUES` below, where every family refuses the same values.
"""

from __future__ import annotations

import re

__all__ = ["VALUES", "decides_nothing"]

# The base class of configurations in transformers 4 and 5, and what its mixins write.
_BASE = """
    architectures attn_implementation auto_map bos_token_id chunk_size_feed_forward decoder_start_token_id dtype
    experts_implementation finetuning_task id2label initializer_range is_decoder keys_to_ignore_at_inference
    label2id mask_token_id name_or_path num_labels output_attentions output_hidden_states pad_token_id prefix
    pretraining_tp problem_type return_dict sep_token_id task_specific_params tf_legacy_loss tie_encoder_decoder
    tokenizer_class torch_dtype torchscript transformers_version unk_token_id use_bfloat16 use_cache use_return_dict
"""

# Settings of generation, which transformers 4 wrote into config.json, and those of GenerationConfig.
_GENERATION = """
    assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight assistant_lookbehind bad_words_ids
    begin_suppress_tokens cache_config cache_implementation compile_config constraints continuous_batching_config
    disable_compile diversity_penalty do_sample dola_layers early_stopping encoder_no_repeat_ngram_size
    encoder_repetition_penalty epsilon_cutoff eta_cutoff exponential_decay_length_penalty force_words_ids
    forced_bos_token_id forced_eos_token_id generation_config guidance_scale is_assistant length_penalty low_memory
    max_cache_len max_length max_matching_ngram_size max_new_tokens max_time min_length min_new_tokens min_p
    no_repeat_ngram_size num_assistant_tokens num_assistant_tokens_schedule num_beam_groups num_beams
    num_return_sequences output_logits output_scores penalty_alpha prefill_chunk_size prompt_lookup_num_tokens
    remove_invalid_values renormalize_logits repetition_penalty return_dict_in_generate sequence_bias
    speculation_type stop_strings suppress_tokens target_lookbehind temperature token_healing top_h top_k top_p
    typical_p use_mtp watermarking_config
"""

# What acts while training only, and what trainers and converters note about a run.
_TRAINING = """
    attention_dropout attention_probs_dropout_prob attn_dropout attn_pdrop base_model_name_or_path
    classifier_dropout classifier_dropout_prob dropout embd_pdrop embedding_dropout ffn_dropout finetuning_type
    fp32_residual fused_cross_entropy gradient_checkpointing gradient_checkpointing_kwargs
    gradient_checkpointing_use_reentrant hidden_dropout hidden_dropout_prob init_device init_std label_smoothing
    mlp_dropout num_train_epochs output_router_logits peft_type rescale_prenorm_residual resid_dropout resid_pdrop
    residual_dropout router_aux_loss_coef training_args z_loss_coef
"""

# How other programs run a model: kernels, exports, limits of a tokenizer or of a server.
_OTHERS = """
    attn_impl bos_token eos_token flash_attention fused_mlp fused_qkv language logits_to_keep max_seq_length
    max_sequence_length model_max_length num_logits_to_keep onnx output_past pad_token tokenizer_model_max_length
    tokenizer_padding_side transformers.js_config unk_token use_flash_attention use_flash_attention_2 use_flash_attn
    use_sdpa
"""

# Recipes of quantisers. Tensors that are stored quantised are refused as such, whatever the recipe says.
_QUANTISERS = """
    compression_config quantization quantization_config quantization_config_file quantize_config
"""

_NAMES = frozenset(" ".join((_BASE, _GENERATION, _TRAINING, _OTHERS, _QUANTISERS)).split())

# Private notes, and families of notes by one writer.
_PATTERNS = re.compile(
    r"_.*|(axolotl|deepspeed|fsdp|llamafactory|mergekit|neuron|peft|sft|trl|unsloth|wandb)(_.*)?|.*_version"
)

VALUES: dict[str, tuple[object, ...]] = {
    "add_cross_attention": (False, None),
    "cross_attention_hidden_size": (None,),
    "is_encoder_decoder": (False, None),
    "pruned_heads": ({}, [], None),
}
"""Values of the base class that every family builds; others would make another function."""


def decides_nothing(key: str) -> bool:
    """Whether any value of this key leaves what the model computes as it is."""
    return key in _NAMES or _PATTERNS.fullmatch(key) is not None
