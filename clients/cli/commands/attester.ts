/**
 * `attester measure` and `attester reference`: the attesting side of the `measured-files` format.
 *
 * Rooted in software: whoever holds the attester key can state any measurement. Hardware evidence does not come from here.
 *
 * @module
 */
import { publicJwkOf } from '../../../statement/index.ts'
import { formatReferenceValues, MEASURED_FILES_FORMAT, measureFiles, signEvidence } from '../../verifier/index.ts'
import { type Command, Exit } from '../command.ts'
import { readPrivateKey, readPublicKey } from '../key-files.ts'

export const attesterMeasure: Command = {
  name: 'attester measure',
  summary: 'measure the files of a workload and sign that as evidence',
  flags: {
    key: { value: 'ATTESTER.jwk', about: 'the attester’s private key', required: true },
    'workload-key': { value: 'PUB.jwk', about: 'the workload’s public key, bound into the evidence', required: true },
    dir: { value: 'DIR', about: 'the files to measure', required: true },
    nonce: { value: 'TEXT', about: 'the Verifier’s challenge' },
    out: { value: 'EVIDENCE.jwt', about: 'where the evidence goes', required: true },
  },

  async run(args, io) {
    const measurements = await measureFiles(args.text('dir'))
    const nonce = args.optional('nonce')
    const evidence = await signEvidence(
      {
        measurements,
        workloadKey: await readPublicKey(io, args.text('workload-key')),
        now: io.now(),
        ...(nonce === undefined ? {} : { nonce }),
      },
      await readPrivateKey(io, args.text('key')),
    )
    await io.writeFile(args.text('out'), `${evidence}\n`)
    const { root } = measurements
    const files = measurements.files.length
    io.out(
      args.has('json') ? JSON.stringify({ root, files, evidence: args.text('out') }) : `${files} files, root ${root}`,
    )
    return Exit.ok
  },
}

export const attesterReference: Command = {
  name: 'attester reference',
  summary: 'write the reference values of a workload’s files',
  flags: {
    key: { value: 'ATTESTER.pub.jwk', about: 'the attester’s public key', required: true },
    name: { value: 'NAME', about: 'what the software is called', required: true },
    version: { value: 'VERSION', about: 'and its version' },
    dir: { value: 'DIR', about: 'the files as they should be', required: true },
    out: { value: 'FILE.json', about: 'where the reference values go', required: true },
  },

  async run(args, io) {
    const measurements = await measureFiles(args.text('dir'))
    const version = args.optional('version')
    const text = formatReferenceValues({
      format: MEASURED_FILES_FORMAT,
      attesters: [publicJwkOf(await readPublicKey(io, args.text('key')))],
      measurements: [{ name: args.text('name'), ...(version === undefined ? {} : { version }), ...measurements }],
    })
    await io.writeFile(args.text('out'), text)
    const { root } = measurements
    io.out(args.has('json') ? JSON.stringify({ root, referenceValues: args.text('out') }) : `root ${root}`)
    return Exit.ok
  },
}
