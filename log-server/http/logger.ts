/**
 * The server's own lines: JSON, every value through the redactor, whoever writes it: we, Fastify, or a library under it.
 *
 * Of objects that live (requests, sockets, replies) only the kind is said: their headers and paths are nobody's to log.
 *
 * @module
 */
import type { FastifyLoggerOptions } from 'fastify'
import { redactError, redactValue } from '../../provenance/redact.ts'

/** A hook of pino, under Fastify's logger: what it is given, before anything is made of it. */
interface Hooks {
  readonly hooks: {
    logMethod(this: unknown, values: unknown[], method: (this: unknown, ...values: unknown[]) => void): void
  }
}

/** `options`, so that nothing is written which has not been redacted. */
export function redactingLogger(options: FastifyLoggerOptions): FastifyLoggerOptions & Hooks {
  return {
    ...options,
    // Pino would put together once more what looks like an error.
    serializers: { err: asItIs as never },
    hooks: {
      logMethod(values, method) {
        const redacted = values.map((value) =>
          value instanceof Error ? { err: redactError(value) } : redactValue(value),
        )
        method.apply(this, redacted)
      },
    },
  }
}

function asItIs<T>(value: T): T {
  return value
}
