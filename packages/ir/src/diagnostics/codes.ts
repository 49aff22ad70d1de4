/**
 * Every code a diagnostic can carry, with the general statement of the mistake. A code is a promise: it is never reused
 * for something else, so that people can search for it and programs can match on it.
 * E0xx reading text, E1xx names, E2xx what a layer is elaborated with, E3xx shapes and sizes, E4xx types and values.
 */
export const codes = {
  E001: 'a character that the language does not use',
  E002: 'the text is not a layer file',
  E003: 'a bracket without its partner',
  E004: 'nested too deeply',
  E005: 'a number that its type cannot hold',
  E006: 'chained comparison',
  E007: 'the body of a descend is incomplete',
  E008: 'a reserved word used as a name',
  E009: 'no layer in the file',

  E101: 'unknown name',
  E102: 'unknown function',
  E103: 'unknown tensor',
  E104: 'used before its definition',
  E105: 'defined twice',
  E106: 'a name used as something it is not',
  E107: 'a function that calls itself',
  E108: 'an index name already in use',

  E201: 'no such layer',
  E202: 'no such dim',
  E203: 'no such option',
  E204: 'an option of the wrong kind',
  E205: 'a dim value that is no size',
  E206: 'a weight whose shape is not known at compile time',
  E207: 'a weight that cannot be left out',
  E208: 'a value that must be known at compile time',
  E209: 'a storage type that the tensor cannot have',

  E301: 'wrong number of indices',
  E302: 'sizes of an index disagree',
  E303: 'an index without a range',
  E304: 'an index that is always out of bounds',
  E305: 'a size that is negative or too large',
  E306: 'not a size',
  E307: 'a layer without output',
  E308: 'argmax or argmin over several indices',

  E401: 'a condition that is not a bool',
  E402: 'a bool where a number is needed',
  E403: 'an index that is not an integer',
  E404: 'branches of different types',
  E405: 'wrong number of arguments',
  E406: 'operands that // and % do not take',
  E407: 'division by zero',
  E408: 'an exponent that is not a small whole number',
  E409: 'a node that is not an integer',
  E410: 'a descend needs either yield or return',
  E411: 'a default that is not constant',
  E412: 'an integer that does not fit i32',
  E413: 'an expression that grows too large',
  E414: 'unknown storage type',
} as const satisfies Readonly<Record<`E${number}`, string>>;

export type DiagnosticCode = keyof typeof codes;
