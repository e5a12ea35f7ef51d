/**
 * What must hold whatever happens, and what is thrown when it does not.
 *
 * @module
 */

export const INVARIANTS = {
  I1: 'no acknowledged entry is lost',
  I2: 'no two trees of one size are signed',
  I3: 'the published size never shrinks',
  I4: 'the index of an entry never changes, and none is used twice',
  I5: 'a receipt verifies for ever',
  I6: 'every checkpoint is consistent with every earlier one',
  I7: 'nothing is acknowledged before it is durable',
  I8: 'failure is loud and typed, never a wrong success',
  I10: 'a log is back in bounded time',
} as const

export type Invariant = keyof typeof INVARIANTS

/** An invariant that was seen not to hold. Anything else that is thrown is a defect of the harness, or of the machine. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: Invariant

  constructor(invariant: Invariant, detail: string, options?: ErrorOptions) {
    super(`${invariant} (${INVARIANTS[invariant]}): ${detail}`, options)
    this.invariant = invariant
  }
}
