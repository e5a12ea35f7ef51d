/** `vendor publish`: logs what a workload is made of, under the key of its vendor. @module */
import { toHex } from '../../../merkle/index.ts'
import { publishWorkload } from '../../issuer/index.ts'
import { type Command, Exit } from '../command.ts'
import { readPublicKey } from '../key-files.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'
import { imageDigest, readWorkloadFiles, workloadFlags } from '../workload-files.ts'

export const vendorPublish: Command = {
  name: 'vendor publish',
  summary: 'log what a workload is made of, for issuers to decide by',
  flags: {
    ...signerFlags,
    image: { value: 'DIGEST', about: 'SHA-256 of the image, or its measurement: what this is about', required: true },
    ...workloadFlags,
    recipient: { value: 'PUB.jwk', about: 'who may open it: issuers and auditors', repeated: true },
  },

  async run(args, io) {
    const published = await publishWorkload({
      ...(await readWorkloadFiles(args, io)),
      client: await logClient(args, io),
      key: (await signer(args, io)).key,
      image: imageDigest(args.text('image')),
      recipients: await Promise.all(args.all('recipient').map((path) => readPublicKey(io, path))),
      now: io.now(),
      random: io.random,
    })
    const result = { ...published, entry: toHex(published.entry) }
    io.out(
      args.has('json')
        ? JSON.stringify(result)
        : `published what ${result.subject} is made of (${result.components} components): entry ${result.index} ${result.entry}`,
    )
    return Exit.ok
  },
}
