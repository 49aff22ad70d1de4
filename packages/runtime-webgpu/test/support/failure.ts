/** The error a promise rejects with; throws when it resolves, so that a test cannot pass by nothing going wrong. */
export async function failure(promise: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  const result = await promise.then(
    () => undefined,
    (error: Error) => error,
  );
  if (!result) throw new Error('expected a rejection');
  return result;
}
