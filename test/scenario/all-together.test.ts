/**
 * Batches, statements of others, rotations, changes of the registration policy and erasures at one time; and an auditor who finds that
 * whatever the log admitted, its own rules let in. Run after run, so that each lands differently.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { replay } from '../../clients/auditor/index.ts'
import { publishLogPolicy, type Registered, withNewKeys, withoutOldKeys } from '../../clients/log-client/index.ts'
import { createSigningKeys } from '../../log-server/sequencing/signing-keys.ts'
import { parseVkey, sha256, toHex, utf8 } from '../../merkle/index.ts'
import { buildRecordStatement, encodePublicKey, type ForeignRules } from '../../provenance/index.ts'
import { importSigningKey, parseReceipt } from '../../statement/index.ts'
import { TRUST } from '../clients/made-up-log.ts'
import { NOW, newKey, ORIGIN, policyOf, random, serveLog } from '../clients/served-log.ts'
import { certify, createAuthority, signForeign, signingKeyOf } from '../provenance/signers.ts'

const both = { checkpoint: true, receipt: true }

describe('what a log admits while everything about it changes', () => {
  it('its auditors let in, afresh and from where they were', { timeout: 120_000 }, async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const roots = await Promise.all(['one', 'two'].map((name) => createAuthority(`root ${name}`)))
    const leaves = await Promise.all(roots.map((root, i) => certify(`signer ${i}`, { issuer: root })))
    const vendor = await importSigningKey(newKey())
    const rules: readonly ForeignRules[] = [
      { anchors: roots.map(({ der }) => der), keys: [encodePublicKey(vendor.publicJwk)] },
      { anchors: [roots[0]!.der] },
      { anchors: [roots[1]!.der], contentTypes: ['text/plain'] },
    ]
    let vkeys: readonly string[] = [log.vkey]
    let pinned = { vkeys, client: log.client }
    const client = () => {
      if (pinned.vkeys !== vkeys) {
        pinned = { vkeys, client: log.clientAt(log.url, { pinned: { origin: ORIGIN, vkey: vkeys } }) }
      }
      return pinned.client
    }
    const registered: Registered[] = []
    const foreign = async (name: string): Promise<Uint8Array[]> => {
      const said = (kind: string) => ({ payload: utf8(`${kind} ${name}`) })
      const keys = await Promise.all(leaves.map(signingKeyOf))
      return Promise.all([
        signForeign(vendor, { ...said('kid'), header: [[4, utf8(vendor.kid)]] }),
        ...leaves.flatMap(({ der }, i) => [
          signForeign(keys[i]!, { ...said(`chain ${i}`), header: [[33, der]] }),
          signForeign(keys[i]!, {
            ...said(`thumbprint ${i}`),
            header: [[34, [-16, sha256(der)]]],
            unprotected: new Map([[33, der]]),
          }),
        ]),
      ])
    }
    const records = (name: string, count: number) =>
      Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const record = policyOf(`permit (${i})`, { policyId: `${name} ${i}` })
          return (await buildRecordStatement(record, issuer)).statement.bytes
        }),
      )
    /** What was refused, was refused by the policy that was in force when its turn came. */
    const assertByPolicy = (error: unknown) => {
      const { code = '' } = error as { code?: string }
      assert.ok(['unsupported_content_type', 'unknown_key', 'unknown_anchor'].includes(code), String(error))
    }
    const batch = async (statements: readonly Uint8Array[]) => {
      for (const outcome of await client().registerAll(statements)) {
        if (outcome instanceof Error) assertByPolicy(outcome)
        else registered.push(outcome)
      }
    }
    const single = async (statement: Uint8Array) => {
      try {
        registered.push(await client().register(statement))
      } catch (error) {
        assertByPolicy(error)
      }
    }
    const erase = async ({ entry }: Registered) => {
      const links = [{ rel: 'erases' as const, entry }]
      await client().registerRecord({ type: 'erasure', fields: { scope: 'statement' }, links }, log.admin)
    }
    const trustAll = () => ({
      ...TRUST,
      logs: vkeys.map((vkey) => ({ origin: ORIGIN, vkey, url: log.url, verifier: parseVkey(vkey) })),
    })
    const audit = (stateDir: string) =>
      replay({ client: client(), trust: trustAll() as typeof TRUST, stateDir: join(log.scratch, stateDir), now: NOW })

    for (let round = 0; round < 6; round++) {
      const name = `round ${round}`
      const strangers = await foreign(name)
      const change = async () => {
        const fresh = round % 3 === 0 ? await createSigningKeys(join(log.scratch, 'log'), both, random) : undefined
        if (fresh?.vkey) vkeys = [fresh.vkey, ...vkeys]
        await publishLogPolicy(client(), log.admin, (policy) => ({
          ...(fresh ? withNewKeys(policy, fresh) : round % 3 === 2 ? withoutOldKeys(policy, both, []) : policy),
          foreign: rules[round % rules.length]!,
        }))
      }
      const victims = registered.filter((_, i) => i % 7 === round).slice(0, 6)
      const own = await records(name, 70)
      await Promise.all([
        batch([...own.slice(0, 30), ...strangers.slice(0, 2), ...own.slice(30)]),
        change(),
        ...strangers.map(single),
        ...victims.map(erase),
      ])
      await Promise.all((await foreign(`${name}, later`)).map(single))
      const { findings } = await audit('going on')
      assert.deepEqual(
        findings.filter(({ severity }) => severity !== 'info'),
        [],
        name,
      )
    }
    const afresh = await audit('afresh')
    assert.deepEqual(
      afresh.findings.filter(({ severity }) => severity !== 'info'),
      [],
    )
    assert.ok(afresh.foreign > 10 && afresh.findings.length > 5)
    // No entry moved, and every receipt still holds.
    for (const { entry, index, receipt } of registered.filter((_, i) => i % 9 === 0)) {
      assert.equal((await client().receipt(entry)).index, index, toHex(entry))
      assert.equal(parseReceipt(receipt).inclusion[0]?.index, index)
    }
  })
})
