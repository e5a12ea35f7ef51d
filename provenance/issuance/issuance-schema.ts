/**
 * What an issuance policy may speak of: the Cedar schema, which `docs/examples/provlog.cedarschema` repeats for editors.
 *
 * Only longs, strings, Booleans, sets and records, so that every context has one JSON text to hash and to seal. A member is
 * optional where there may be nothing to say; a policy must then ask `has` first, and the validator insists on it.
 *
 * @module
 */

export const ISSUANCE_SCHEMA = `// The facts that a provlog issuance policy decides on.
// Validate a policy: cedar validate --schema provlog.cedarschema --policies issuance-policy.cedar

// Who the credential is for. The id is the whole workload identifier: Workload::"spiffe://bank.example/payments".
entity Workload in [TrustDomain] = {
  "scheme": String,       // "spiffe" or "wimse"
  "trustDomain": String,
  "path": String,
};

// TrustDomain::"bank.example"
entity TrustDomain;

// Trustworthiness claims as AR4SI codes (2..31 affirming, 32..95 warning, 96..127 contraindicated; 0, 1, -1 none).
// Of several attestation results, the worst code of each.
type Claims = {
  "instanceIdentity"?: Long,
  "configuration"?: Long,
  "executables"?: Long,
  "fileSystem"?: Long,
  "hardware"?: Long,
  "runtimeOpaque"?: Long,
  "storageOpaque"?: Long,
  "sourcedData"?: Long,
};

action issue appliesTo {
  principal: [Workload],
  resource: [TrustDomain],
  context: {
    "attestation": {
      "results": Long,              // how many; 0 when the workload is not attested
      "tier": String,               // the worst: "affirming", "warning", "none", "contraindicated"
      "claims": Claims,
      "ageSeconds": Long,           // of the oldest result
      "keyAttested": Bool,          // every result binds the key that the credential is for
      "verifiers": Set<String>,     // workload identifiers of those who signed the results
      "policies": Set<String>,      // the appraisal policies they applied, by id
      "measurements": Set<String>,  // of the software, lower-case hex
    },
    "workload": {
      "measured": Bool,             // every measurement is of the thing that the provenance below is about
      "publisher": String,          // workload identifier of who signed the provenance: the issuer itself, or a vendor

      // Bills of materials. Package URLs are in their canonical form, and so must be those in policies.
      "sbomFormats": Set<String>,   // "CycloneDX", "SPDX"; empty without a bill of materials
      "sbomSubjectMatches"?: Bool,  // each says that it is about this very thing; absent when that could not be compared
      "sbomVerified": Bool,         // there is one, and each came in an attestation whose signature was checked
      "components": Set<String>,    // pkg:deb/debian/curl@7.50.3-1?arch=i386
      "releases": Set<String>,      // pkg:deb/debian/curl@7.50.3-1: the same without qualifiers and subpath
      "packages": Set<String>,      // pkg:deb/debian/curl: the same without version: any version of a package
      "others": Set<String>,        // components without a package URL: "name@version", or "name"
      "cpes": Set<String>,          // CPE names, in lower case

      // Build attestations: about this very thing. Only what a checked signature covers, unless it says otherwise.
      "builders": Set<String>,      // builder ids of SLSA provenance
      "unverifiedBuilders": Set<String>,  // what files say that nobody signed, or nobody checked
      "buildTypes": Set<String>,
      "buildSigners": Set<String>,  // kid of each key that signed one
      "buildIdentities": Set<String>,     // of each certificate that did: "https://oidc-issuer.example identity"
      "materials": Set<String>,     // what it was built from, by URI and by "algorithm:digest"
      "slsaLevels": Set<String>,    // of verification summaries that passed
      "summaryVerifiers": Set<String>,    // whose summaries passed
      "summaryFailures": Set<String>,     // whose did not

      // Compliance tests.
      "passed": Set<String>,        // those with the result "pass"
      "failed": Set<String>,        // all others
      "complianceVerified": Bool,   // there are results, and the signature of each was checked
      "tools": Set<String>,

      "vendor"?: String,
      "vendorId"?: String,
      "saas"?: String,              // the service as which the vendor offers it
    },
    "credential": {
      "kind": String,               // "wit" or "wic"
      "lifetimeSeconds": Long,
      "audience": Set<String>,      // trust domains; empty when not restricted
    },
  },
};
`
