/**
 * GET /healthz and /readyz — for whoever operates the process.
 *
 *     /healthz   200 while the process answers at all
 *     /readyz    200 while a statement sent now would be appended; 503 with the reason otherwise
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'

export interface Health {
  /** Why nothing can be appended now, or undefined when it can: the sequencer's own state, not a guess from outside. */
  notReady(): string | undefined
  /** Leaves in the published tree. */
  size(): number
  /** Seconds since the last checkpoint was signed. A log that nobody writes to signs none, so age alone is no fault. */
  checkpointAge(): number
}

export const healthRoutes: FastifyPluginAsync<{ health: Health }> = async (app, { health }) => {
  app.get('/healthz', async (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'alive' }))

  app.get('/readyz', async (_request, reply) => {
    const reason = health.notReady()
    return reply
      .code(reason === undefined ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({
        ready: reason === undefined,
        ...(reason === undefined ? {} : { reason }),
        size: health.size(),
        checkpointAge: health.checkpointAge(),
      })
  })
}
