/** Small odd sizes for every layer of the standard library. Dims that are left out stay runtime dims. */
import type { LayerArgs } from '@espalier/ir';

export const VALUES: Readonly<Record<string, LayerArgs>> = {
  add: { dims: { D: 7 } },
  add_norm: { dims: { D: 7 } },
  attention: { dims: { heads: 2, width: 5 } },
  bert_embedding: { dims: { V: 11, P: 9, K: 2, D: 7 } },
  classification_head: { dims: { D: 7, H: 9, C: 3 } },
  embedding: { dims: { V: 11, D: 7 } },
  ff: { dims: { D: 7, H: 17, O: 9 } },
  fff: { dims: { D: 7, O: 9, trees: 2, depth: 3 } },
  first_token: { dims: { D: 7 } },
  gated_ff: { dims: { D: 7, H: 17, O: 9 } },
  layer_norm: { dims: { D: 7 } },
  leaf_fff: { dims: { D: 7, W: 5, O: 9, depth: 2 } },
  linear: { dims: { D: 7, O: 9 } },
  masked_mean_pool: { dims: { D: 7 } },
  master_leaf_fff: { dims: { D: 7, W: 5, M: 6, O: 9, depth: 2 } },
  mean_pool: { dims: { D: 7 } },
  mlm_head: { dims: { D: 7, V: 11 } },
  moe_top1: { dims: { D: 7, E: 3, H: 9, O: 5 } },
  packed_attention: { dims: { heads: 2, width: 5 } },
  residual_norm: { dims: { D: 7 } },
  rms_norm: { dims: { D: 7 } },
  rows: { dims: { D: 7 } },
  sinusoid_embedding: { dims: { V: 11, P: 9, D: 7 } },
};
