import assert from 'node:assert/strict'
import type { JsonWebKey } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { importSigningKey, importVerificationKey } from '#signature'
import { verifyTogether } from '../../../log-server/admission/verification-threads.ts'
import { utf8 } from '../../../merkle/bytes.ts'
import { parsePrivateJwk } from '../../../statement/cose-key.ts'
import {
  SignatureCheck,
  type SignedStatement,
  signStatement,
  statementIdentity,
  verifySignedStatement,
} from '../../../statement/signed-statement.ts'
import { newKeyPair } from '../../key-pairs.ts'

/** Threads, as they are started. */
const started: Worker[] = []
process.on('worker', (worker) => started.push(worker))

async function statementsOf(jwk: JsonWebKey, count: number) {
  const signing = await importSigningKey(parsePrivateJwk(jwk))
  const key = await importVerificationKey(signing.publicJwk)
  const statements: SignedStatement[] = []
  for (let i = 0; i < count; i++) {
    const content = { issuer: 'https://issuer.example', subject: `${i}`, issuedAt: i, contentType: 'text/plain' }
    statements.push(await signStatement({ ...content, payload: utf8('x'.repeat(i)) }, signing))
  }
  return { key, statements }
}

/** Signatures as they should not be. */
function spoilt({ sign1, ...rest }: SignedStatement, spoil: (signature: Uint8Array) => Uint8Array): SignedStatement {
  return { ...rest, sign1: { ...sign1, signature: spoil(sign1.signature.slice()) } }
}

const flipped = (signature: Uint8Array) => signature.map((byte, at) => (at === 40 ? byte ^ 1 : byte))

describe('signatures checked in threads', () => {
  it('get the verdict that each gets alone, whatever stands beside it, and come with the identity', async () => {
    const p256 = newKeyPair('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    const ed25519 = newKeyPair('ed25519').privateKey.export({ format: 'jwk' })
    const signers = [await statementsOf(p256, 30), await statementsOf(ed25519, 30)]
    const checks = signers.flatMap(({ key, statements }) =>
      statements.map((statement, i) => {
        const spoils = [flipped, () => new Uint8Array(), () => new Uint8Array(64), () => new Uint8Array(70_000)]
        const spoil = i % 3 === 0 ? spoils[(i / 3) % spoils.length] : undefined
        return new SignatureCheck(spoil ? spoilt(statement, spoil) : statement, key)
      }),
    )
    checks.sort((a, b) => a.statement.payload.length - b.statement.payload.length)
    const verdicts = await verifyTogether(checks)
    for (const [i, { statement, key }] of checks.entries()) {
      const verifier = await importVerificationKey(key.jwk)
      const alone = await verifySignedStatement(statement, verifier).then(
        () => true,
        () => false,
      )
      assert.equal(verdicts[i]!.valid, alone, `${i}`)
      assert.deepEqual(verdicts[i]!.identity, statementIdentity(statement))
    }
    assert.equal(verdicts.filter(({ valid }) => valid).length, 40)
  })

  it('are checked by the key of the check, not by the one that signed', async () => {
    const jwks = [1, 2].map(() => newKeyPair('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))
    const [one, other] = [await statementsOf(jwks[0]!, 1), await statementsOf(jwks[1]!, 1)]
    const checks = [new SignatureCheck(one.statements[0]!, other.key), new SignatureCheck(one.statements[0]!, one.key)]
    const verdicts = await verifyTogether(checks)
    assert.deepEqual(
      verdicts.map(({ valid }) => valid),
      [false, true],
    )
    assert.throws(() => checks[0]!.concluded(verdicts[0]!.valid), { code: 'bad_signature' })
    assert.equal(checks[1]!.concluded(verdicts[1]!.valid).signer.kid, one.key.kid)
  })

  it('are answered by no thread that died, and the next ones by another', async () => {
    const { key, statements } = await statementsOf(newKeyPair('ed25519').privateKey.export({ format: 'jwk' }), 50)
    const checks = statements.map((statement) => new SignatureCheck(statement, key))
    // More than wait in threads: those out here get a thread that is alive, or the same answer.
    const outcomes = Promise.allSettled(Array.from({ length: 64 }, () => verifyTogether(checks)))
    await Promise.all(started.splice(0).map((worker) => worker.terminate()))
    let died = 0
    for (const outcome of await outcomes) {
      if (outcome.status === 'fulfilled') assert.ok(outcome.value.every(({ valid }) => valid))
      else {
        died++
        assert.match(String(outcome.reason), /verification thread ended/)
      }
    }
    assert.ok(died > 0, 'no thread was killed while it had work')
    assert.ok((await verifyTogether(checks)).every(({ valid }) => valid))
  })

  it('of more than 256 signers are refused, and the threads go on', async () => {
    const { key, statements } = await statementsOf(newKeyPair('ed25519').privateKey.export({ format: 'jwk' }), 1)
    const many = Array.from({ length: 257 }, (_, i) => new SignatureCheck(statements[0]!, { ...key, kid: `${i}` }))
    await assert.rejects(verifyTogether(many), RangeError)
    assert.equal((await verifyTogether([new SignatureCheck(statements[0]!, key)]))[0]!.valid, true)
  })
})
