/**
 * What became of each check: a line as it happens, and the sum at the end.
 *
 * @module
 */
export type Outcome = 'ok' | 'FAIL' | 'SKIP'

export class Report {
  readonly #json: boolean
  readonly #counts: Record<Outcome, number> = { ok: 0, FAIL: 0, SKIP: 0 }
  readonly #skipped: string[] = []
  readonly #started = Date.now()

  constructor({ json }: { json: boolean }) {
    this.#json = json
  }

  ok(check: string): void {
    this.#line('ok', check)
  }

  fail(check: string, detail: string): void {
    this.#line('FAIL', check, detail)
  }

  skip(check: string, why: string): void {
    this.#skipped.push(check)
    this.#line('SKIP', check, why)
  }

  /** Runs one check of our own; what it throws is its failure. */
  async step<T>(check: string, run: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await run()
      this.ok(check)
      return value
    } catch (error) {
      this.fail(check, error instanceof Error ? (error.stack ?? error.message) : String(error))
      return undefined
    }
  }

  /** Prints the sum, and returns the exit code. */
  end(): number {
    const { ok, FAIL, SKIP } = this.#counts
    const seconds = Math.round((Date.now() - this.#started) / 1000)
    if (this.#json) {
      console.log(JSON.stringify({ passed: ok, failed: FAIL, skipped: SKIP, seconds, ok: FAIL === 0 }))
    } else {
      if (SKIP > 0) console.log(`\nnot checked: ${this.#skipped.join('; ')}`)
      console.log(`\n${ok} passed, ${FAIL} failed, ${SKIP} skipped`)
      console.log(`in ${seconds} s`)
    }
    return FAIL === 0 ? 0 : 1
  }

  #line(outcome: Outcome, check: string, detail?: string): void {
    this.#counts[outcome]++
    if (this.#json) console.log(JSON.stringify({ outcome, check, ...(detail !== undefined && { detail }) }))
    else console.log(`${outcome.padEnd(4)}  ${check}${detail === undefined ? '' : `: ${detail}`}`)
  }
}
