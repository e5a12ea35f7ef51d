/**
 * RSA keys that chips by Infineon made, TPMs of 2012 to 2017 and smart cards among them (CVE-2017-15361, "ROCA"). Whoever has the public one can work out
 * the private one, in days for 2048 bits.
 *
 * Their primes are k·M + (65537ᵃ mod M), where M is the product of the first 126 primes, of longer keys more. So modulo each of these
 * primes the modulus is a power of 65537, which another modulus is modulo all of them once in 2¹⁶⁷ (Nemec and others, "The Return of
 * Coppersmith's Attack", §3).
 *
 * @module
 */

/** The last of the primes in M, for keys of 2048 bits. */
const LAST_PRIME = 701

/** @param modulus - big-endian */
export function isRocaModulus(modulus: Uint8Array): boolean {
  return powersByPrime().every(([prime, powers]) =>
    powers.has(modulus.reduce((rest, byte) => (rest * 256 + byte) % prime, 0)),
  )
}

let known: readonly (readonly [prime: number, powers: ReadonlySet<number>])[] | undefined

/** Of the odd primes in M, the powers of 65537 modulo each. */
function powersByPrime() {
  known ??= Array.from({ length: LAST_PRIME - 2 }, (_, i) => i + 3)
    .filter(isPrime)
    .map((prime) => {
      const powers = new Set<number>()
      for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power)
      return [prime, powers]
    })
  return known
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false
  return true
}
