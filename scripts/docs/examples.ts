/**
 * Makes one real example of each format, by the commands a user would type, against a log of its own.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processIo } from '../../clients/cli/io.ts'
import { main } from '../../clients/cli/main.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import { startServer } from '../../log-server/index.ts'
import { fromHex, toHex } from '../../merkle/index.ts'
import { decodeBundle } from '../../provenance/index.ts'
import { attachReceipts, parseTransparentStatement } from '../../statement/index.ts'
import { line } from '../line.ts'
import type { ExampleName } from './formats.ts'

const TD = 'bank.example'

/** Every example, as the bytes of its file. The keys are thrown away. */
export async function makeExamples(): Promise<ReadonlyMap<ExampleName, Uint8Array>> {
  const directory = mkdtempSync(join(tmpdir(), 'provlog-docs-'))
  const at = (name: string) => join(directory, name)
  const cli = async (...words: readonly string[]) => {
    const lines: string[] = []
    const io = { ...processIo(), out: (line: string) => lines.push(line), err: () => {}, progress: () => {} }
    const exit = await main([...words, '--json'], io)
    if (exit !== 0) throw new Error(`provlog ${words.join(' ')}: ${lines.join('\n')}`)
    return JSON.parse(lines.at(-1) ?? '') as Record<string, string>
  }

  for (const name of ['issuer', 'verifier', 'attester', 'workload', 'auditor-signing'])
    await cli('keygen', '--alg', 'ES256', '--out', at(`${name}.jwk`))
  await cli('keygen', '--alg', 'X25519', '--out', at('auditor.jwk'))
  const { vkey = '', adminKey = '' } = await cli(...line`log init --data ${at('log')} --origin log.bank.example/2026`)
  const server = await startServer({ dataDir: at('log'), listen: { host: '127.0.0.1', port: 0 } })
  const client = new LogClient({ url: server.url, pinned: { origin: server.origin, vkey }, clock: processIo().now })
  try {
    const log = ['--log', server.url, '--vkey', vkey]
    const admin = [...log, '--admin-key', adminKey, '--trust-domain', TD]
    await cli(...line`log authorize ${admin} --role issuer --id spiffe://${TD}/issuer --key ${at('issuer.pub.jwk')}`)
    await cli(
      ...line`log authorize ${admin} --role verifier --id spiffe://${TD}/verifier --key ${at('verifier.pub.jwk')}`,
    )

    await mkdir(at('app'))
    writeFileSync(at('app/server.js'), "import 'fastify'\n")
    writeFileSync(at('app/package.json'), '{"name":"payments","version":"1.4.2","type":"module"}\n')
    const component = { type: 'library', name: 'fastify', version: '5.12.8', purl: 'pkg:npm/fastify@5.12.8' }
    writeFileSync(
      at('sbom.json'),
      JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.5', version: 1, components: [component] }),
    )

    const verifier = [...log, '--key', at('verifier.jwk')]
    const issuer = [...log, '--key', at('issuer.jwk')]
    await cli(
      ...line`attester reference --key ${at('attester.pub.jwk')} --name payments --version 1.4.2 --dir ${at('app')}
        --out ${at('reference-values.json')}`,
    )
    await cli(...line`verifier publish-reference-values ${verifier} --id provlog-server ${at('reference-values.json')}`)
    await cli(...line`verifier publish-policy ${verifier} --id measured-files docs/examples/appraisal-policy.json`)
    await cli('issuer', 'publish-policy', ...issuer, '--id', 'workloads', 'docs/examples/issuance-policy.cedar')
    await cli(
      ...line`attester measure --key ${at('attester.jwk')} --workload-key ${at('workload.pub.jwk')}
        --dir ${at('app')} --out ${at('evidence.jwt')}`,
    )
    await cli(
      ...line`verifier appraise ${verifier} --format measured-files --evidence ${at('evidence.jwt')}
        --result ${at('result.ear')} --recipient ${at('auditor.pub.jwk')}`,
    )
    await cli('issuer', 'anchor', '--key', at('issuer.jwk'), '--trust-domain', TD, '--out', at('domain'))
    const issue = [
      '--policy',
      'workloads',
      '--subject',
      `spiffe://${TD}/payments`,
      '--workload-key',
      at('workload.pub.jwk'),
      '--result',
      at('result.ear'),
      '--sbom',
      at('sbom.json'),
      '--recipient',
      at('auditor.pub.jwk'),
      '--embed',
    ]
    await cli(
      ...line`issuer issue ${issuer} ${issue} --kind wic --anchor ${at('domain/anchor.pem')} --out ${at('wic')}`,
    )
    const { entry = '' } = await cli('issuer', 'issue', ...issuer, ...issue, '--out', at('wit'))
    await cli('proof', ...log, entry, '--out', at('entry.tlog-proof'))
    await cli(
      ...line`trust ${log} --domain ${TD}=${at('domain/spiffe-bundle.json')} --issuer spiffe://${TD}/issuer
        --verifier spiffe://${TD}/verifier --out ${at('TRUST.json')}`,
    )

    const bundle = readFileSync(at('wit/bundle.provlog'))
    const decoded = decodeBundle(bundle)
    const transparent = decoded.statements[0] ?? new Uint8Array()
    const { statement, receipts } = parseTransparentStatement(transparent)
    const { size, note } = await client.checkpoint()
    const { record } = await client.record(statement.entry)
    const linked = (rel: string) => record.links.find((link) => link.rel === rel)?.entry ?? statement.entry
    const intent = await client.statement(linked('issuance-intent'))
    const policy = toHex(linked('issuance-policy'))
    const withdrawn = await cli('issuer', 'retract', ...issuer, policy, '--reason', 'superseded')
    const retraction = await client.statement(fromHex(withdrawn['entry'] ?? ''))
    const auditor = ['--id', `spiffe://${TD}/auditor`, '--key', at('auditor-signing.pub.jwk')]
    await cli('log', 'authorize', ...admin, '--role', 'auditor', ...auditor, '--encryption-key', at('auditor.pub.jwk'))
    const audited = ['--log', server.url, '--state', at('audit')]
    await cli('audit', 'run', ...audited, '--trust', at('TRUST.json'), '--key', at('auditor.jwk'))
    const reported = await cli('audit', 'report', ...audited, '--sign', '--key', at('auditor-signing.jwk'))
    const signed = reported['signed'] as unknown as { readonly entry: string }
    const report = await client.statement(fromHex(signed.entry))
    const problem = await fetch(`${server.url}/entries/${'0'.repeat(64)}`)
    const tile = await client.tiles.readTiles([{ level: 0, index: 0, width: size }])
    return new Map<ExampleName, Uint8Array>([
      ['log.vkey', new TextEncoder().encode(`${vkey}\n`)],
      ['checkpoint.txt', new TextEncoder().encode(note)],
      ['entry.tlog-proof', readFileSync(at('entry.tlog-proof'))],
      ['tile.bin', tile[0] ?? new Uint8Array()],
      ['entries.bin', await client.entryBundle(0, size)],
      ['statement.cose', attachReceipts(statement.bytes, [])],
      ['intent.cose', attachReceipts(intent.statement.bytes, [])],
      ['retraction.cose', attachReceipts(retraction.statement.bytes, [])],
      ['audit-report.cose', attachReceipts(report.statement.bytes, [])],
      ['receipt.cose', receipts[0] ?? new Uint8Array()],
      ['transparent-statement.cose', transparent],
      ['wrap.json', decoded.wraps.get(entry)?.[0] ?? new Uint8Array()],
      ['evidence.jwt', readFileSync(at('evidence.jwt'))],
      ['reference-values.json', readFileSync(at('reference-values.json'))],
      ['result.ear', readFileSync(at('result.ear'))],
      ['credential.jwt', readFileSync(at('wit/credential.jwt'))],
      ['credential.pem', readFileSync(at('wic/credential.pem'))],
      ['bundle.provlog', bundle],
      ['TRUST.json', readFileSync(at('TRUST.json'))],
      ['problem.cbor', new Uint8Array(await problem.arrayBuffer())],
    ])
  } finally {
    client.close()
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
