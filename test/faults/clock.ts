/**
 * A clock that jumps: what a log signs never looks older than what it signed before, and whoever signed in what is now the future is told so.
 *
 * @module
 */
import { parseReceipt } from '../../statement/index.ts'
import type { Ledger } from './ledger.ts'
import type { Sites } from './site.ts'
import { Violation } from './violation.ts'

const DAY = 86_400
/** A day on and back, a day back, and a second that comes twice. */
const JUMPS = [DAY, 0, -DAY, 0, -1, 0]
/** What a statement may be refused with whose writer's key, or whose date, is of another time than the server's. */
const UNTIMELY = ['issued_in_future', 'outside_key_validity', 'key_not_yet_valid']

export async function jumpClock(sites: Sites): Promise<void> {
  const site = await sites.site()
  let shift = 0
  for (const restart of [false, true]) {
    let served = await sites.serve(site, { order: { shift } })
    for (const jump of JUMPS) {
      shift = jump
      if (restart) {
        await sites.stop(served)
        served = await sites.serve(site, { order: { shift } })
      } else served.child.order({ shift })
      // By the clock of the server, and by the one that did not jump.
      for (const writers of [shift, 0]) {
        // The order is read by the time that the answer to this has come.
        await served.client.look()
        const refusal = await served.client.attempt(await sites.writer.statement(writers))
        if (refusal === undefined || (UNTIMELY.includes(refusal) && shift < 0)) continue
        throw new Violation('I8', `${refusal}, with the clock ${shift} s off and the writer's ${writers} s`)
      }
    }
    await sites.stop(served)
  }
  checkTimes(site.ledger)
  await sites.check(site)
  await sites.discard(site)
}

/** A larger tree is never dated earlier. */
function checkTimes(ledger: Ledger): void {
  const heads = ledger.receipts.map(({ receipt }) => parseReceipt(receipt))
  heads.sort((a, b) => a.treeSize! - b.treeSize!)
  for (const [i, { issuedAt, treeSize }] of heads.entries()) {
    const before = heads[i - 1]
    if (before && issuedAt! < before.issuedAt!) {
      throw new Violation('I2', `the tree of ${treeSize} is dated before the one of ${before.treeSize}`)
    }
  }
}
