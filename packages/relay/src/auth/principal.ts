/** A signed-in person, as every room knows them. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly admin: boolean;
}
