import { RelayError } from '../../errors.ts';

/** Where a PostgreSQL is, for messages: `host:port/database`, never with a password. */
export function addressOf(url: string): string {
  if (!URL.canParse(url)) throw badUrl();
  const parsed = new URL(url);
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw badUrl();
  const host = parsed.searchParams.get('host') ?? (parsed.hostname || 'localhost');
  const port = parsed.searchParams.get('port') ?? (parsed.port || '5432');
  return `${host}:${port}${parsed.pathname}`;
}

// Without a cause: Node's own error holds the whole text.
function badUrl(): RelayError {
  return new RelayError(
    'config-invalid',
    'database.url is not of the form postgres://user:password@host:port/database. ' +
      'Characters such as @ / : ? # in a password are written as %40 %2F %3A %3F %23.',
  );
}
