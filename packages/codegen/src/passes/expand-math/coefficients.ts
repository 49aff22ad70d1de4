/**
 * Coefficients of the polynomials in expansions.ts, lowest power first; every number is exactly an f32.
 * Written by scripts/fit-math.ts: weighted minimax fits, rounded to f32. "error" is the polynomial's own share of the
 * relative error of the result, in units of 2^-24; rounding while evaluating comes on top and is measured by the tests.
 */

/** e^r = 1 + r + r²·q(r), |r| ≤ ln 2 / 2; error 0.28. */
export const expTail: readonly number[] = [
  0.5, 0.16666539013385773, 0.0416664183139801, 0.008366982452571392, 0.0013939253985881805,
];

/** 2^f, |f| ≤ 1/2, for the far part of erf; error 2.00. */
export const exp2: readonly number[] = [
  1.0000001192092896, 0.6931472420692444, 0.240219846367836, 0.055502768605947495, 0.009680688381195068,
  0.0013415691209957004,
];

/** ln(1 + f) = f + f²·q(f), −1/3 ≤ f ≤ 1/3; error 0.08. */
export const lnTail: readonly number[] = [
  -0.5, 0.3333321511745453, -0.2499980479478836, 0.20010437071323395, -0.16680218279361725, 0.14005503058433533,
  -0.12187524139881134, 0.1398584395647049, -0.12878893315792084,
];

/** erf(t) = t + t·q(t²), 0 ≤ t ≤ 0.9; argument z = t²; error 0.24. */
export const erfNear: readonly number[] = [
  0.12837915122509003, -0.3761250674724579, 0.11281976103782654, -0.02677328512072563, 0.005004160106182098,
  -0.0006052461685612798,
];

/** erf(t) = 1 − 2^q(t), 0.9 ≤ t ≤ 4; error 0.03. */
export const erfFar: readonly number[] = [
  -0.00024012927315197885, -1.6270675659179688, -0.9189620018005371, -0.1502045840024948, 0.03219423070549965,
  -0.004422623198479414, 0.00028597709024325013,
];
