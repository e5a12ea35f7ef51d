/**
 * GET /healthz and /readyz — for whoever operates the process.
 *
 *     /healthz   200 while the process answers at all
 *     /readyz    200 while a statement sent now would be appended; 503 with the reason otherwise
 *
 * @module
 */
import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import { json, operation } from '../http/openapi.ts'
import type { NotReady } from '../http/readiness.ts'

export interface Health {
  /** Why nothing can be appended now, or undefined when it can: the sequencer's own state, not a guess from outside. */
  notReady(): NotReady | undefined
  /** Leaves in the published tree. */
  size(): number
  /** Seconds since the last checkpoint was signed. A log that nobody writes to signs none, so age alone is no fault. */
  checkpointAge(): number
}

const getHealth = operation({
  operationId: 'getHealth',
  access: 'anyone',
  tags: ['operations'],
  summary: 'Whether the process answers.',
  answers: { 200: json('It does.', Type.Object({ status: Type.Literal('alive') })) },
})

const Readiness = Type.Object({
  ready: Type.Boolean(),
  reason: Type.Optional(Type.String({ description: 'The code that a registration would be refused with.' })),
  size: Type.Integer({ minimum: 0, description: 'Leaves in the published tree.' }),
  checkpointAge: Type.Integer({ minimum: 0, description: 'Seconds since the newest checkpoint was signed.' }),
})

const getReadiness = operation({
  operationId: 'getReadiness',
  access: 'anyone',
  tags: ['operations'],
  summary: 'Whether a statement sent now would be registered.',
  answers: { 200: json('It would.', Readiness), 503: json('It would not, for `reason`.', Readiness) },
})

export const healthRoutes: FastifyPluginAsync<{ health: Health }> = async (app, { health }) => {
  app.get('/healthz', { schema: getHealth }, async (_request, reply) =>
    reply.header('cache-control', 'no-store').send({ status: 'alive' }),
  )

  app.get('/readyz', { schema: getReadiness }, async (_request, reply) => {
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
