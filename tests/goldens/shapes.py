"""Other shapes of every family that transformers has a class for, drawn from a seed.

    LYCEUM_SHAPES=7:5 python3 make.py --table shapes.py --out DIR      seed 7, five of every family

A table for make.py, and for tools/check_transformers.py. A case that make.py finds unclear (ties in routing, texts that
repeat themselves) fails there with "choose another seed": draw more.
"""

import os
import random

IDS = dict(bos_token_id=0, pad_token_id=1, eos_token_id=2)
BATCHES = ((1, 17), (2, 24), (3, 11), (2, 31), (4, 9))


class Draw(random.Random):
    def maybe(self, **options):
        """A random half of these."""
        return {key: value for key, value in options.items() if self.random() < 0.5}

    def flag(self):
        return self.random() < 0.5


def rope(r, width, kinds=("default", "linear", "dynamic", "llama3", "yarn", "longrope")):
    """rope_parameters, and the max_position_embeddings that go with them."""
    kind = r.choice(("default",) + tuple(kinds))
    p = dict(rope_type=kind, rope_theta=r.choice((300.0, 10000.0, 500000.0)))
    positions = r.choice((64, 128, 333))
    if kind == "linear":
        p |= dict(factor=r.choice((2.0, 3.5)))
    if kind == "dynamic":
        p |= dict(factor=r.choice((2.0, 4.0)))
        positions = r.choice((12, 128))     # beyond 12 the base grows with the length
    if kind == "llama3":
        p |= dict(factor=8.0, low_freq_factor=r.choice((1.0, 1.5)), high_freq_factor=r.choice((4.0, 6.0)),
                  original_max_position_embeddings=r.choice((16, 64)))
    if kind == "yarn":
        p |= dict(factor=r.choice((4.0, 16.0)), original_max_position_embeddings=r.choice((32, 256)))
        p |= r.maybe(beta_fast=8.0, beta_slow=2.0)
        p |= r.choice((dict(), dict(mscale=0.7, mscale_all_dim=0.9), dict(attention_factor=1.3), dict(truncate=False)))
    if kind == "longrope":
        original = r.choice((14, 64))
        positions = 4 * original
        p |= dict(short_factor=[round(r.uniform(1, 1.3), 3) for _ in range(width // 2)],
                  long_factor=[round(r.uniform(1.5, 6), 3) for _ in range(width // 2)],
                  original_max_position_embeddings=original)
        p |= r.choice((dict(), dict(factor=4.0), dict(attention_factor=1.2)))
    return dict(rope_parameters=p, max_position_embeddings=positions)


def decoder(r, grouped=True, act=True, kinds=None, own_width=False):
    """What every decoder of the llama kind has."""
    heads = r.choice((1, 2, 3, 4, 5, 6))
    width = r.choice([w for w in (6, 8, 10, 12, 16, 22) if 16 <= w * heads <= 72])
    c = dict(IDS, vocab_size=r.randint(97, 230), num_hidden_layers=r.randint(1, 3), num_attention_heads=heads,
             hidden_size=heads * width, intermediate_size=r.randint(17, 70), rms_norm_eps=r.choice((1e-6, 1e-5, 1e-3)),
             num_key_value_heads=r.choice([d for d in range(1, heads + 1) if heads % d == 0]) if grouped else heads,
             tie_word_embeddings=r.flag())
    if own_width and r.flag():
        width = r.choice((8, 14, 18))
        c |= dict(head_dim=width)
        if r.flag():
            c["hidden_size"] = heads * r.choice([n for n in (5, 8, 11, 17) if 15 < n * heads < 80])
    if act:
        c |= dict(hidden_act=r.choice(("silu", "silu", "gelu", "gelu_pytorch_tanh", "relu")))
    return c | rope(r, width, *([kinds] if kinds is not None else []))


def experts(r, key="num_experts"):
    n = r.choice((3, 4, 5, 7, 8, 13))
    return {key: n, "num_experts_per_tok": r.randint(1, min(n - 1, 5)), "router_aux_loss_coef": 0.01}


def olmoe(r):
    return decoder(r) | experts(r) | r.maybe(norm_topk_prob=True, clip_qkv=0.8, attention_bias=True)


def llama(r):
    return decoder(r, own_width=True) | r.maybe(attention_bias=True, mlp_bias=True)


def olmo(r):
    c = decoder(r) | r.maybe(clip_qkv=1.1, attention_bias=True)
    del c["rms_norm_eps"]
    return c


def olmo2(r):
    return decoder(r) | r.maybe(attention_bias=True)


def mixtral(r):
    c = decoder(r, own_width=True) | experts(r, "num_local_experts") | r.maybe(sliding_window=r.randint(3, 9))
    return dict(head_dim=c["hidden_size"] // c["num_attention_heads"]) | c


def qwen_placement(r, c):
    c |= dict(moe_intermediate_size=r.randint(9, 33), num_hidden_layers=r.randint(2, 4))
    step = r.choice((1, 1, 2))
    c |= dict(decoder_sparse_step=step, mlp_only_layers=r.choice(([], [0])) if step == 1 else [])
    return c


def qwen2_moe(r):
    c = qwen_placement(r, decoder(r) | experts(r)) | r.maybe(norm_topk_prob=True, qkv_bias=False)
    c |= dict(shared_expert_intermediate_size=r.randint(8, 40))
    if r.flag():
        c |= dict(use_sliding_window=True, sliding_window=r.randint(3, 8), max_window_layers=r.randint(0, 2))
    return c


def qwen3_moe(r):
    c = qwen_placement(r, decoder(r, own_width=True) | experts(r)) | r.maybe(norm_topk_prob=True, attention_bias=True)
    c = dict(head_dim=c["hidden_size"] // c["num_attention_heads"]) | c
    return c | (dict(use_sliding_window=True, sliding_window=r.randint(3, 8)) if r.flag() else {})


def granitemoe(r):
    return decoder(r) | experts(r, "num_local_experts") | dict(
        embedding_multiplier=r.choice((1.0, 4.0)), logits_scaling=r.choice((0.5, 2.0)),
        residual_multiplier=r.choice((0.7, 1.0)), attention_multiplier=r.choice((0.15, 0.4))) | r.maybe(attention_bias=True)


def phimoe(r):
    c = decoder(r, kinds=("default", "longrope")) | experts(r, "num_local_experts")
    p = c["rope_parameters"]
    if p["rope_type"] == "longrope":
        # Texts stay below the original length: beyond it transformers 5.24 forgets long_factor in this class alone.
        p |= dict(short_mscale=1.2, long_mscale=1.4, original_max_position_embeddings=64)
        c["max_position_embeddings"] = 256
    return c | dict(num_experts_per_tok=2, router_jitter_noise=r.choice((0.01, 0.25))) | r.maybe(
        attention_bias=True, lm_head_bias=True, sliding_window=r.randint(3, 9))


def gpt_oss(r):
    c = decoder(r, act=False, kinds=("default", "yarn"), own_width=True) | experts(r, "num_local_experts")
    c = dict(head_dim=c["hidden_size"] // c["num_attention_heads"]) | c
    c |= dict(sliding_window=r.randint(2, 9), swiglu_limit=r.choice((0.8, 7.0)))
    if r.flag():
        c["layer_types"] = [r.choice(("sliding_attention", "full_attention")) for _ in range(c["num_hidden_layers"])]
    return c


def gpt_neox(r):
    c = decoder(r, grouped=False, act=False, kinds=())
    c |= dict(layer_norm_eps=c.pop("rms_norm_eps"), hidden_act=r.choice(("gelu", "gelu_new", "relu")))
    width = c["hidden_size"] // c["num_attention_heads"]
    c["rope_parameters"]["partial_rotary_factor"] = r.choice([f for f in (0.25, 0.5, 1.0) if int(width * f) % 2 == 0])
    del c["num_key_value_heads"]
    return c | r.maybe(use_parallel_residual=False, attention_bias=False)


def deepseek(r):
    rotated = r.choice((4, 8, 14))
    c = decoder(r, grouped=False, kinds=("default", "yarn")) | experts(r)
    c |= rope(r, rotated, ("default", "yarn"))
    groups = r.choice((1, 2, 3))
    kept, of_each = r.randint(1, groups), r.choice((2, 3, 4))
    del c["num_experts"], c["router_aux_loss_coef"]
    layers = r.randint(1, 4)
    return c | dict(
        num_hidden_layers=layers, first_k_dense_replace=r.randint(0, min(2, layers - 1)),
        n_routed_experts=groups * of_each, n_group=groups, topk_group=kept,
        num_experts_per_tok=r.randint(1, min(kept * of_each, 4)), n_shared_experts=r.randint(1, 3),
        moe_intermediate_size=r.randint(7, 30), q_lora_rank=r.choice((None, 11, 24)), kv_lora_rank=r.choice((10, 20, 32)),
        qk_rope_head_dim=rotated, qk_nope_head_dim=r.choice((6, 10, 16)), v_head_dim=r.choice((7, 12, 16)),
        routed_scaling_factor=r.choice((1.0, 2.5))) | r.maybe(attention_bias=True)


def deepseek_v2(r):
    c = deepseek(r)
    return c | dict(topk_method="group_limited_greedy" if c["n_group"] > 1 else "greedy")


def deepseek_v3(r):
    return deepseek(r) | dict(norm_topk_prob=r.flag(), num_nextn_predict_layers=0) | r.maybe(rope_interleave=False)


def t5(r):
    heads = r.choice((1, 2, 3, 5))
    return dict(vocab_size=r.randint(97, 230), d_model=r.choice((24, 33, 40)), d_kv=r.choice((6, 9, 16)), num_heads=heads,
                d_ff=r.randint(20, 70), num_layers=r.randint(1, 3), num_decoder_layers=r.randint(1, 3),
                relative_attention_num_buckets=r.choice((8, 12, 32)), relative_attention_max_distance=r.choice((17, 40, 128)),
                layer_norm_epsilon=r.choice((1e-6, 1e-3)), pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
                dropout_rate=0.0, feed_forward_proj=r.choice(("relu", "gelu", "gated-gelu", "gated-silu")),
                tie_word_embeddings=True)


def switch(r):
    c = t5(r)
    del c["feed_forward_proj"]
    return c | dict(num_layers=r.randint(2, 5), num_decoder_layers=r.randint(2, 4), num_sparse_encoder_layers=r.randint(1, 2),
                    num_sparse_decoder_layers=r.randint(1, 2), num_experts=r.choice((3, 4, 6)), expert_capacity=64,
                    router_jitter_noise=0.0, router_aux_loss_coef=0.01, router_z_loss_coef=0.001,
                    router_bias=r.flag(), dense_act_fn=r.choice(("relu", "gelu")))


FAMILIES = dict(Olmoe=olmoe, Llama=llama, Olmo=olmo, Olmo2=olmo2, GPTNeoX=gpt_neox, Mixtral=mixtral, Qwen2Moe=qwen2_moe,
                Qwen3Moe=qwen3_moe, GraniteMoe=granitemoe, Phimoe=phimoe, GptOss=gpt_oss, DeepseekV2=deepseek_v2,
                DeepseekV3=deepseek_v3, T5=t5, SwitchTransformers=switch)


def cases(row, seed, count):
    """`row` of make.py; cases named <family>-<seed>-<number>."""
    out = []
    for family, draw in FAMILIES.items():
        for i in range(count):
            r = Draw(f"{seed} {family} {i}")
            batch = r.choice(BATCHES)
            if family in ("T5", "SwitchTransformers"):
                batch += (r.randint(8, 19),)
            out.append(row(f"{family.lower()}-{seed}-{i}", family, draw(r), r.randint(1, 10**6), batch))
    return out


if "row" in globals():
    seed, _, count = os.environ.get("LYCEUM_SHAPES", "1:1").partition(":")
    CASES = cases(row, int(seed), int(count or 1))  # noqa: F821
