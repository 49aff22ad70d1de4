/**
 * Evens out two places where the JavaScript BERT normalizer (@huggingface/tokenizers 0.2.0) differs from the Rust one
 * that models are trained with. Both are changes of the text that the Rust normalizer would make anyway:
 *
 * - ideographs beyond U+FFFF (CJK extensions B…) are set apart by spaces, which the library does only for the others;
 * - capital sigma becomes σ everywhere, where the library's lowercasing writes ς at the end of a word.
 */
import { asRecord } from '../json.ts';

/** Which of the two apply to a tokenizer. */
export interface TextQuirks {
  readonly ideographs: boolean;
  readonly sigma: boolean;
}

const WIDE_IDEOGRAPHS =
  /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** Looks at the normalizer of a tokenizer.json object. */
export function textQuirks(json: Readonly<Record<string, unknown>>): TextQuirks {
  const normalizer = asRecord(json['normalizer']);
  const bert = normalizer?.['type'] === 'BertNormalizer';
  return {
    ideographs: bert && normalizer['handle_chinese_chars'] === true,
    sigma: bert && normalizer['lowercase'] === true,
  };
}

/** `text` as the library should get it. */
export function evenOut(text: string, quirks: TextQuirks): string {
  let even = text;
  if (quirks.ideographs) even = even.replace(WIDE_IDEOGRAPHS, ' $& ');
  if (quirks.sigma) even = even.replaceAll('Σ', 'σ');
  return even;
}
