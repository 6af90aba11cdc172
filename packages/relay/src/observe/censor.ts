/** Tokens of every kind this project issues; the prefix stays, so that a person sees what it was. */
const TOKEN = /burrow_(agt|pat)_[A-Za-z0-9_-]{8,}/g;
/** Single-use codes in URLs. */
const CODE = /([?&]code=)[^&\s"'\\]+/g;
const BEARER = /(bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi;
/** The password in the URL of a database or of Redis. */
const URL_PASSWORD = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/"'\\]*:)[^\s@/"'\\]+@/gi;

/** The last line of defence before a log line or an error leaves the process: whatever else failed, no secret passes. */
export function censor(text: string): string {
  return text
    .replace(TOKEN, 'burrow_$1_[hidden]')
    .replace(CODE, '$1[hidden]')
    .replace(BEARER, '$1[hidden]')
    .replace(URL_PASSWORD, '$1[hidden]@');
}
