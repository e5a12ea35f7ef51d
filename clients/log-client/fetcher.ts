export interface FetchRequest {
  readonly method?: 'GET' | 'POST'
  /** Below the base URL, without a leading slash: `tile/0/000`. */
  readonly path: string
  readonly accept?: string
  readonly body?: Uint8Array
  readonly contentType?: string
  /** Longer answers are cut off and refused. */
  readonly maxBytes: number
}

export interface FetchAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

/** How requests travel. Returns any status below 500; throws `UnavailableError` for everything that is worth retrying. */
export interface Fetcher {
  fetch(request: FetchRequest): Promise<FetchAnswer>
  close(): void
}
