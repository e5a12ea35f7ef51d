/**
 * Too few descriptors, and too little memory.
 *
 * @module
 */
import { connect, type Socket } from 'node:net'
import { within } from './child.ts'
import { loadOn } from './kills.ts'
import { checkLoudEnd, type Sites } from './site.ts'
import { Violation } from './violation.ts'

/** 64 descriptors, of which idle connections take more than there are, while LevelDB wants some for new tables. */
export async function fewDescriptors(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site, { child: { ulimit: '-n 64' }, order: { writeBufferSize: 64 * 1024 } })
  const load = loadOn(sites, site, served)
  await load.reached(8)
  const idle = Array.from({ length: 100 }, () => idleConnection(served.url))
  await within(5000, load.reached(load.result.acknowledged + 30))
  for (const socket of idle) socket.destroy()
  await load.stop()
  served.client.close()
  // LevelDB may have wanted a table meanwhile, and then the log has ended, or does with the next write.
  const end = served.child.alive ? await served.child.terminate() : await served.child.ended
  if (end.code !== 0) checkLoudEnd(end, served.child)
  await sites.check(site)
  await sites.discard(site)
}

/** 128 MB of heap: it must do with that. */
export async function smallHeap(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site, { child: { nodeOptions: ['--max-old-space-size=128'] } })
  const load = loadOn(sites, site, served)
  await load.reached(150)
  await load.stop()
  if (!served.child.alive) throw new Violation('I8', '128 MB of heap were not enough')
  await sites.checkServed(site, served)
  await sites.stop(served)
  await sites.check(site)
  await sites.discard(site)
}

function idleConnection(url: string): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  return socket
}
