/**
 * The roots of hardware vendors, by the SHA-256 of the certificate. The certificates themselves come with the evidence or as
 * collateral: a root is believed because its digest stands here or in the policy that the Verifier logged, and for no other reason.
 *
 * @module
 */

/** AWS Nitro Enclaves Root G1; published in the AWS Nitro Enclaves User Guide, "Verifying the root of trust". */
export const AWS_NITRO_ROOTS = ['641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b']

/** AMD Root Keys; https://kdsintf.amd.com/vcek/v1/{Milan,Genoa,Turin}/cert_chain, AMD publication 57230. */
export const AMD_ROOTS: ReadonlyMap<string, string> = new Map([
  ['69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd', 'Milan'],
  ['4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1', 'Genoa'],
  ['1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a', 'Turin'],
])

/** NVIDIA Device Identity CA, of GPUs and NVSwitches; https://docs.nvidia.com/attestation, "Device Identity Certificate". */
export const NVIDIA_ROOTS = ['102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48']

/** Intel SGX Root CA, of SGX and TDX; https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer. */
export const INTEL_ROOTS = [
  '44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3',
  // The same key until 2033, as platforms that were certified before 2021 still send it.
  'fc64f8076d79a4fee9d1d473d74c89eb8d8fd55c5abafeabeba7366d20429404',
]
