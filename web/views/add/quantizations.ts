/**
 * What the quantizations of GGUF files cost and are good for. Bits per weight are those measured on Llama 3.1 8B in
 * llama.cpp's `tools/quantize/README.md`; of formats that are not in that table, the block size that
 * `tools/quantize/quantize.cpp` and `ggml-common.h` of the same project define. Whole files come out a little larger
 * or smaller: embeddings and output are often kept more exactly.
 */

/** How much of the original a quantization keeps, in the words shown. */
const USES = {
  exact: "As published; for conversion, not for everyday use",
  near: "Practically the original; nearly twice the size of the usual choice",
  high: "Very close to the original",
  good: "Close to the original; takes a little more memory",
  balanced: "Good quality for its size: the usual choice",
  lean: "A little smaller than the usual choice, slightly less exact",
  small: "Noticeable losses; where memory is short",
  tiny: "Large losses; only for very large models",
  ternary: "For models trained with ternary weights",
  older: "Older format; the K formats of this size are better",
} as const;

export interface Quantization {
  /** Bits per weight, about. */
  bits: number;
  use: string;
}

const table: Record<keyof typeof USES, Record<string, number>> = {
  exact: { F32: 32, FP32: 32, BF16: 16, F16: 16, FP16: 16 },
  near: { Q8_0: 8.5 },
  high: { Q6_K: 6.56 },
  good: { Q5_K_M: 5.7, Q5_K: 5.7, Q5_K_S: 5.57 },
  balanced: { Q4_K_M: 4.89, Q4_K: 4.89, MXFP4: 4.25, MXFP4_MOE: 4.25, NVFP4: 4.5 },
  lean: { Q4_K_S: 4.67, IQ4_NL: 4.68, IQ4_XS: 4.46, Q3_K_L: 4.3 },
  small: { Q3_K_M: 4, Q3_K: 4, Q3_K_S: 3.64, IQ3_M: 3.76, IQ3_S: 3.66, IQ3_XS: 3.5, IQ3_XXS: 3.25 },
  tiny: {
    Q2_K: 3.16,
    Q2_K_S: 2.97,
    IQ2_M: 2.93,
    IQ2_S: 2.74,
    IQ2_XS: 2.59,
    IQ2_XXS: 2.38,
    IQ1_M: 2.15,
    IQ1_S: 2,
  },
  ternary: { TQ2_0: 2.06, TQ1_0: 1.69 },
  older: { Q5_1: 6, Q5_0: 5.5, Q4_1: 5, Q4_0: 4.5 },
};

const KNOWN = new Map<string, Quantization>(
  Object.entries(table).flatMap(([use, names]) =>
    Object.entries(names).map(
      ([name, bits]) => [name, { bits, use: USES[use as keyof typeof USES] }] as const,
    ),
  ),
);

/** What is known of a quantization, by its name as the API tells it; variants such as `Q4_K_XL` are about their base. */
export function quantization(name: string): Quantization | undefined {
  return KNOWN.get(name) ?? KNOWN.get(name.replace(/_(?:X?L|P|\d_\d)$/, ""));
}

/** What to take when nobody has said: the first of these that is there and fits. */
const PREFERRED = (
  "Q4_K_M Q4_K_L Q4_K_XL Q4_K MXFP4 MXFP4_MOE Q4_K_S IQ4_NL IQ4_XS Q4_1 Q4_0 Q5_K_M Q5_K_S Q5_K Q5_K_L " +
  "Q3_K_L Q3_K_XL Q3_K_M Q5_1 Q5_0 Q6_K Q6_K_L IQ3_M Q3_K IQ3_S Q3_K_S IQ3_XS IQ3_XXS Q8_0 IQ2_M Q2_K_L Q2_K_XL Q2_K"
).split(" ");

/** The lower, the sooner taken; what is not in the list comes after it. */
export function preference(name: string | undefined): number {
  const at = name === undefined ? -1 : PREFERRED.indexOf(name);
  return at < 0 ? PREFERRED.length : at;
}
