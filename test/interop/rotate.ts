/**
 * The log changes all its keys, by the command that its operator would use: what it signed before, between, and after.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { heldKeys } from '../../log-server/index.ts'
import { toHex } from '../../merkle/index.ts'
import { decodeCoseKeySet, kidOf, parseReceipt, parseTransparentStatement } from '../../statement/index.ts'
import { type FixtureFiles, pemOf, provlog } from './fixture.ts'
import type { InteropLog } from './log.ts'

interface Stage {
  /** Path of the checkpoint. */
  readonly note: string
  /** Of entry 1, made at this checkpoint. */
  readonly receipt: string
  readonly receiptKey: string
}

export async function rotate(log: InteropLog, fixture: FixtureFiles): Promise<{ path: string; newVkey: string }> {
  const files = ['--data', log.dataDir, '--log', log.url, '--ca', log.ca, '--admin-key', log.adminKey]
  const before = await stage('before')
  await provlog('log', 'rotate', ...files, '--begin')
  const between = await stage('between')
  await provlog('log', 'rotate', ...files, '--finish')
  const after = await stage('after')

  const { vkeys } = await heldKeys(log.dataDir)
  const newVkey = vkeys.find((vkey) => vkey !== log.vkey)
  if (newVkey === undefined) throw new Error('the log has no other key than before')
  const path = join(fixture.directory, 'rotation.json')
  const entry = toHex(await entryAt1())
  const told = { url: log.url, origin: log.origin, vkey: log.vkey, newVkey, entry, before, between, after }
  await writeFile(path, JSON.stringify(told))
  return { path, newVkey }

  async function entryAt1(): Promise<Uint8Array> {
    const { body } = await log.get('entries/0.1/statement', 'application/cose')
    return parseTransparentStatement(body).statement.entry
  }

  async function stage(name: string): Promise<Stage> {
    const write = async (suffix: string, content: string | Uint8Array) => {
      const path = join(fixture.directory, `${name}.${suffix}`)
      await writeFile(path, content)
      return path
    }
    const receipt = (await log.get('entries/0.1', 'application/cose')).body
    const { kid } = parseReceipt(receipt)
    const keys = decodeCoseKeySet((await log.get('.well-known/scitt-keys')).body)
    const key = keys.find((candidate) => kidOf(candidate) === kid)
    if (key === undefined) throw new Error(`the key of the receipt, ${kid}, is not among the log's`)
    return {
      note: await write('checkpoint', (await log.get('checkpoint')).body),
      receipt: await write('receipt.cose', receipt),
      receiptKey: await write('receipt-key.pem', pemOf(key)),
    }
  }
}
