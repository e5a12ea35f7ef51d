// The examples of the WIMSE drafts, each at its time: a request with a WPT, a signed request, and the signed response to it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseRequestFile, parseResponseFile } from '../../clients/relying-party/message-file.ts'
import { utf8 } from '../../merkle/bytes.ts'
import { parseCredential } from '../../provenance/credential.ts'
import { readFields } from '../../provenance/proof-of-possession/http-message.ts'
import {
  authenticateRequest,
  MemoryReplayCache,
  signHttpRequest,
  signHttpResponse,
  signWpt,
  verifyHttpRequest,
  verifyHttpResponse,
  verifyRequestProof,
} from '../../provenance/proof-of-possession/index.ts'
import { parsePrivateJwk, parsePublicJwk } from '../../statement/cose-key.ts'
import { readTextVector, readVector, vectorsMissing } from './shared-vectors.ts'

const skip = vectorsMissing
const witOf = ({ fields }: Parameters<typeof readFields>[0]) => readFields({ fields }).get('workload-identity-token')!

describe('wimse: the example of draft-ietf-wimse-wpt', { skip }, () => {
  // Printed in the draft, beside the token that it signs.
  const june5 = parsePublicJwk({
    kty: 'EC',
    crv: 'P-256',
    x: 'kXqnA2Op7hgd4zRMbw0iFcc_hDxUxhojxOFVGjE2gks',
    y: 'n__VndPMR021-59UAs0b9qDTFT-EZtT6xSNs_xFskLo',
  })
  const anchors = { trustDomain: 'example.com', tokenKeys: new Map([['June 5', june5]]), certificates: [] }
  const trustDomains = new Map([['example.com', anchors]])
  const request = () => parseRequestFile(readVector('domain/wimse/wpt-request.txt'))
  const expectations = (at: number) => ({
    at,
    audience: { origins: ['https://workload.example.com'] },
    replay: new MemoryReplayCache(),
  })
  const [from, end] = [1_745_510_016 - 300, 1_745_510_016]

  it('says who sends the request, with the access token that it binds', async () => {
    const { credential, possession } = await authenticateRequest(request(), trustDomains, expectations(from))
    assert.equal(credential.subject.uri, 'wimse://example.com/specific-workload')
    assert.deepEqual(possession, { ways: ['wpt'], replay: 'first-use' })
  })

  it('is refused once it has ended, long before it began, and elsewhere', async () => {
    const at = (time: number) => authenticateRequest(request(), trustDomains, expectations(time))
    await assert.rejects(at(end + 30), { code: 'proof_expired' })
    await assert.rejects(at(from - 31), { code: 'proof_lifetime_too_long' })
    const audience = { origins: ['https://elsewhere.example.com'] }
    const elsewhere = authenticateRequest(request(), trustDomains, { ...expectations(from), audience })
    await assert.rejects(elsewhere, { code: 'wrong_audience' })
  })

  it('is refused with another access token, and without it', async () => {
    const changed = (fields: ReturnType<typeof request>['fields']) =>
      authenticateRequest({ ...request(), fields }, trustDomains, expectations(from))
    const others = request().fields.filter(([name]) => name !== 'Authorization')
    await assert.rejects(changed(others), { code: 'token_binding_mismatch' })
    await assert.rejects(changed([...others, ['Authorization', 'Bearer x']]), { code: 'token_binding_mismatch' })
  })
})

describe('wimse: the examples of draft-ietf-wimse-http-signature', { skip }, () => {
  const request = () => parseRequestFile(readVector('domain/wimse/sigs-request.txt'))
  const response = () => parseResponseFile(readVector('domain/wimse/sigs-response.txt'))
  const caller = () => parseCredential(utf8(witOf(request())))
  const callee = () => parseCredential(utf8(witOf(response())))
  const keyOf = (name: string) => parsePrivateJwk(JSON.parse(readTextVector(`domain/wimse/sigs-${name}-jwk.txt`)))
  const at = 1_785_155_797
  const expectations = {
    at,
    audience: { origins: ['https://svcb.example.com'] },
    replay: 'not-looked-for' as const,
  }

  it('the request is signed by the key of its WIT, and demands a signed response', async () => {
    const verified = await verifyHttpRequest(request(), caller(), expectations)
    assert.deepEqual(verified, { nonce: 'abcd1111', expiresAt: 1_785_156_097, signResponse: true })
    const { ways } = await verifyRequestProof(request(), caller(), expectations)
    assert.deepEqual(ways, ['httpsig'])
  })

  it('the response is signed by the key of its WIT, as the answer to that request', async () => {
    const sent = { request: request(), nonce: 'abcd1111' }
    await verifyHttpResponse(response(), sent, callee(), expectations)
    const other = verifyHttpResponse(response(), { ...sent, nonce: 'abcd3333' }, callee(), expectations)
    await assert.rejects(other, { code: 'response_mismatch' })
    const moved = { request: { ...request(), target: '/gimme-ice-cream' }, nonce: 'abcd1111' }
    await assert.rejects(verifyHttpResponse(response(), moved, callee(), expectations), { code: 'bad_signature' })
    const eaten = { ...response(), content: utf8('Here you are.\n\n') }
    await assert.rejects(verifyHttpResponse(eaten, sent, callee(), expectations), { code: 'content_digest_mismatch' })
  })

  it('with their keys we sign requests and responses of the same form, and make WPTs', async () => {
    const unsigned = { method: 'GET', target: '/gimme-ice-cream?flavor=vanilla', fields: [] as const }
    const [wit, nonce] = [witOf(request()), 'n'.repeat(22)]
    const times = { created: at, expires: at + 300 }
    const audience = 'https://svcb.example.com/gimme-ice-cream'
    const added = await signHttpRequest(unsigned, { wit, nonce, audience, ...times, signResponse: true }, keyOf('svca'))
    const theirs = readFields(request())
    const ours = readFields({ fields: added })
    const form = (text: string) => text.replace(/nonce="[^"]*"/, '')
    assert.equal(form(ours.get('signature-input')!), form(theirs.get('signature-input')!))
    const sent = { ...unsigned, fields: added }
    await verifyHttpRequest(sent, caller(), expectations)

    const answer = { status: 200, fields: [['Content-Type', 'text/plain']] as const, content: utf8('Here you are.') }
    const about = { request: sent, requestNonce: nonce }
    const signed = await signHttpResponse(answer, about, { wit: witOf(response()), nonce, ...times }, keyOf('svcb'))
    const received = { ...answer, fields: [...answer.fields, ...signed] }
    await verifyHttpResponse(received, { request: sent, nonce }, callee(), expectations)

    const wpt = await signWpt({ wit, audience: 'svcb', expiresAt: at + 60, jti: nonce }, keyOf('svca'))
    const fields = [['Workload-Identity-Token', wit] as const, ['Workload-Proof-Token', wpt] as const]
    const aliased = { ...expectations, audience: { aliases: ['svcb'] } }
    assert.deepEqual((await verifyRequestProof({ ...unsigned, fields }, caller(), aliased)).ways, ['wpt'])
    const notTheirs = signWpt({ wit, audience: 'svcb', expiresAt: at + 60, jti: nonce }, keyOf('svcb'))
    await assert.rejects(notTheirs, { code: 'wrong_proof_key' })
  })
})
