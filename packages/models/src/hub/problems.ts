/** What went wrong with the Hub, said as one of the package's errors: status codes, network failures, odd answers. */
import { HubApiError } from '@huggingface/hub';
import { CheckpointError } from '../errors.ts';

/** Whether trying again may help: network failures, overload, a broken-off body; never a refusal. */
export function isTransient(error: unknown): boolean {
  return error instanceof CheckpointError && ['M021', 'M025', 'M027'].includes(error.code);
}

/** `error` of a request about `subject` (org/name@revision or a file of it) as a CheckpointError. */
export function hubProblem(error: unknown, subject: string, hubUrl: string): CheckpointError {
  if (error instanceof CheckpointError) return error;
  const place = { file: subject, cause: error };
  if (error instanceof HubApiError) {
    const said = error.message.split('. URL: ')[0]?.slice(0, 200) ?? '';
    switch (error.statusCode) {
      case 401:
        // The Hub answers 401, not 404, for models that do not exist, so that private names do not leak.
        return new CheckpointError('M024', `${hubUrl} answers 401 (${said})`, {
          ...place,
          hint: 'Check the name: a private, gated or missing model needs a token that may read it (option token, or HF_TOKEN).',
        });
      case 403:
        return new CheckpointError('M024', `${hubUrl} answers 403 (${said})`, place);
      case 404:
        return /revision|rev id/i.test(said)
          ? new CheckpointError('M023', `${hubUrl} answers 404 (${said})`, place)
          : new CheckpointError('M022', `${hubUrl} answers 404 (${said})`, place);
      default:
        return new CheckpointError('M027', `${hubUrl} answers ${error.statusCode} (${said})`, place);
    }
  }
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/.test(code)) {
    return new CheckpointError('M021', `${hubUrl} cannot be reached (${code})`, place);
  }
  if (/^(ECONNRESET|EPIPE|UND_ERR_\w+)$/.test(code)) {
    return new CheckpointError('M025', `the connection to ${hubUrl} broke (${code})`, place);
  }
  const said = error instanceof Error ? error.message : String(error);
  const connection = error instanceof TypeError && /fetch failed|terminated/.test(said);
  return connection
    ? new CheckpointError(
        'M021',
        `${hubUrl} cannot be reached (${cause instanceof Error ? cause.message : said})`,
        place,
      )
    : new CheckpointError('M027', `${hubUrl} gave an answer that makes no sense (${said.slice(0, 200)})`, place);
}
