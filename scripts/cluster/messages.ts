/** What crosses between `npm run cluster` and its relays. */
export type ToRelay =
  | { readonly kind: 'first-user'; readonly tokenName: string }
  | { readonly kind: 'sign-in-url'; readonly workspace: string | undefined };

export type FromRelay =
  | {
      readonly kind: 'ready';
      readonly port: number;
      readonly ssh: { readonly host: string; readonly port: number; readonly hostKey: string };
      readonly domain: string;
    }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'first-user'; readonly token: string }
  | { readonly kind: 'sign-in-url'; readonly url: string };
