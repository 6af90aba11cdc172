/** What a sign-in must wait for. */
export interface Wait {
  readonly seconds: number;
  /** Whose failures were too many. */
  readonly counted: 'address' | 'aim';
}

/** For the person who waits. The same whether what they asked for exists or not. */
export function tooManyAttempts({ seconds, counted }: Wait): string {
  return counted === 'address'
    ? `Too many failed sign-ins from your address. Try again in ${seconds} s.`
    : `Too many failed sign-ins to this workspace from many addresses. Try again in ${seconds} s.`;
}
