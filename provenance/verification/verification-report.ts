/**
 * A list of checks with their outcomes: what was checked, what failed, and what was not checked and why.
 *
 * A verification that says only yes hides what it did not look at. So every check appears in the report, in order, also
 * when it could not run: because an earlier one failed, because something was not supplied, or because nobody asked.
 *
 * @module
 */
import { assert, EvidenceError } from '../../merkle/error.ts'

export type CheckOutcome = 'passed' | 'failed' | 'not-checked'

/** One line of the report. */
export interface Check {
  /** Stable; API. */
  readonly id: string
  /** What is true if it passed, as a sentence. */
  readonly title: string
  readonly outcome: CheckOutcome
  /** Why it failed: an error code. Only where `outcome` is `failed`. */
  readonly code?: string
  /** Of a check whose answer may change with time: whether it is the log's answer of now. */
  readonly fresh?: boolean
  /** What was found, or the reason. May quote the evidence: not for HTML as it stands. */
  readonly detail: string
}

/** What a check that passed found, to build others on. */
export interface Finding<T> {
  readonly detail: string
  readonly value: T
}

/** A check that ran or could not; others may need it. */
export interface Step<T> {
  readonly title: string
  readonly finding?: Finding<T>
}

type Steps = Readonly<Record<string, Step<unknown>>>
type Values<N extends Steps> = { readonly [K in keyof N]: N[K] extends Step<infer T> ? T : never }

/** What a check returns that finds nothing to check. Fails a check that must pass. */
export interface NotChecked {
  readonly because: string
}

export function notChecked(reason: string): NotChecked {
  return { because: reason }
}

/** Collects the checks of one verification, in order. */
export class Checklist {
  readonly #titles: Readonly<Record<string, string>>
  readonly #optional: ReadonlySet<string>
  readonly #checks: Check[] = []

  /**
   * @param titles by id, in the order in which the checks run
   * @param optional ids of the checks that may stay `not-checked` in a verification that is otherwise good
   */
  constructor(titles: Readonly<Record<string, string>>, optional: readonly string[]) {
    this.#titles = titles
    this.#optional = new Set(optional)
  }

  /**
   * Runs a check on what earlier ones found. Evidence that does not hold fails it; anything else that is thrown is our own
   * mistake and goes through.
   */
  async check<N extends Steps, T>(
    id: string,
    needs: N,
    run: (found: Values<N>) => Finding<T> | NotChecked | Promise<Finding<T> | NotChecked>,
  ): Promise<Step<T>> {
    const title = this.#titles[id]
    assert(title, `check ${id} has no title`)
    const values: Record<string, unknown> = {}
    for (const name of Object.keys(needs)) {
      const step = needs[name]!
      if (!step.finding) {
        this.#checks.push({ id, title, outcome: 'not-checked', detail: `needs: ${step.title}` })
        return { title }
      }
      values[name] = step.finding.value
    }
    try {
      const finding = await run(values as Values<N>)
      if ('because' in finding) {
        this.#checks.push({ id, title, outcome: 'not-checked', detail: finding.because })
        return { title }
      }
      this.#checks.push({ id, title, outcome: 'passed', detail: finding.detail })
      return { title, finding }
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      this.#checks.push({ id, title, outcome: 'failed', code: error.code, detail: error.message })
      return { title }
    }
  }

  get checks(): readonly Check[] {
    return [...this.#checks]
  }

  /** Every check ran; none failed; and those that are not optional passed. */
  get ok(): boolean {
    assert(this.#checks.length === Object.keys(this.#titles).length, 'a check was left out of the report')
    return this.#checks.every(
      ({ id, outcome }) => outcome === 'passed' || (outcome === 'not-checked' && this.#optional.has(id)),
    )
  }
}
