package main

// serveHelp has every key of the configuration; a test reads it as serve would.
const serveHelp = `Runs a vault: gRPC for programs, HTTP for browsers.

The configuration is a YAML file. Relative paths in it are relative to its folder;
secrets are references, env:NAME or file:PATH.

  listen: {grpc: 127.0.0.1:9090, http: 127.0.0.1:8080}  # these are the defaults
  tls: {cert_file: server.crt, key_file: server.key, client_ca_file: clients.crt}  # see below
  public_url: https://connect.example.com   # where browsers reach listen.http
  trusted_proxies: [10.0.0.0/8]             # whose X-Forwarded-For says where browsers are
  storage: {bolt: {path: vault.db}}
  master_key: file:master.key               # tokenvault key generate --out master.key
  binding: confirm                          # ConfirmConnection says who came back | login: people sign in below |
                                            # link: whoever has a link may finish its flow (development)
  login:                                    # with binding: login, an OpenID provider that knows your people
    issuer: https://id.example.com
    client_id: tokenvault
    client_secret: env:LOGIN_CLIENT_SECRET
    subject_claim: sub                      # the claim that is the subject of Connect
    scopes: [openid]
    tenant: default                         # whose people they are: links of other tenants are not for them
  consent_page: false                       # true: a page says whose account it is before the provider is asked
  return_urls: ["https://app.example.com/connected"]  # exact, or one trailing *; on 127.0.0.1 without a port: any
  portal:                                   # where people see their connections: tokenvault portal --help
    name: Example
    logo: logo.svg                          # PNG, JPEG, GIF, WebP or SVG
    accent_color: "#1f5fbf"
    providers: ["*"]                        # for people who sign in there without a link; with binding: login
  providers:
    mailchimp:                              # a template of the built-in catalogue
      client_id: "123456"
      client_secret: env:MAILCHIMP_CLIENT_SECRET
    mailchimp-two:                          # another app there; any key of it can be changed
      template: mailchimp
      client_id: "234567"
      client_secret: file:mailchimp-two.secret
    acme:                                   # any other OAuth 2.0 provider
      display_name: Acme
      issuer: https://id.acme.example       # asked for what is left out below, if one of the next two is
      authorize_url: https://id.acme.example/authorize
      token_url: https://id.acme.example/token
      revoke_url: https://id.acme.example/revoke
      device_url: https://id.acme.example/device
      client_id: vault
      client_secret: file:acme.secret
      client_auth: basic                    # basic | post | private_key_jwt | none
      grants: [authorization_code]          # and client_credentials, or device_code, which no binding holds for
      pkce: S256                            # S256 | none
      scopes: [read]                        # asked for where a program names none
      base_scopes: [offline_access]         # asked for always
      account: {id: /id, name: /name, email: /email}  # JSON pointers into what is read below
      after_connect:                        # what to read with each new token
        url: https://api.acme.example/me
        authorization: Bearer {access_token}
        capture:                            # values to keep as metadata
          region: {pointer: /region, pattern: "^[a-z]+[0-9]+$", required: true}
      api_base_url: https://{region}.api.acme.example/v1
      refresh:                              # leave out what you do not know
        lifetime: 1h                        # of tokens that come without expires_in
        grace: 30s                          # how long a used refresh token works again
        idle_limit: 90d                     # how long an unused refresh token lives
      disconnect_hint: To remove the access at Acme too, open its settings.
      allow_private_network: false          # true: private addresses, and http on loopback
    shop:                                   # one with peculiarities
      variables: {store: {pattern: "^[a-z0-9-]+$", default: main}}  # a part of URLs
      authorize_url: https://{store}.shop.example/authorize
      token_url: https://{store}.shop.example/token
      client_id: vault
      client_auth: private_key_jwt          # a key in place of a secret
      client_key: file:shop.pem
      client_key_id: "1"                    # the name under which the provider knows it
      scope_separator: ","
      authorize_params: {prompt: consent}   # added to the authorization request
      token_params: {audience: shop}        # added to requests for tokens
      token_format: json                    # form | json
      token_pointer: /data                  # where the tokens are in the answer
      token_capture: {user: {pointer: /user}}  # what else to keep of it
      after_connect:
        url: https://api.shop.example/graphql
        method: POST                        # GET | POST
        headers: {X-Token: "{access_token}"}
        body: '{"query": "{me{id}}"}'
      api_headers: {X-Token: "{access_token}"}  # what calls of the API carry
      api_key:                              # the API takes keys, too
        pattern: "^(?P<api_key>[a-z0-9]+)$"
        header: X-Key
        authorization: "{api_key}"          # or, for HTTP basic authentication, basic: "{api_key}:"
  callers:
    - name: mailchimp-mcp
      token_sha256: 2bb8...                 # tokenvault token generate; or a list of several, to rotate them
      tenant: default                       # callers of one tenant see the same connections
      rpcs: [GetCredentials, Connect, ConfirmConnection, RefreshConnection, WatchConnections]  # names or globs; "*" is everything
      providers: [mailchimp]
      subjects: ["*"]
    - name: crm                             # one that shows a client certificate, or a JWT; any one will do
      spiffe_id: spiffe://example.org/crm   # the certificate's URI SAN
      dns_name: crm.internal.example        # or, where it has no URI SAN, a DNS SAN
      jwt:                                  # of an OpenID Connect issuer, or a Kubernetes service account's
        issuer: https://kubernetes.default.svc
        audience: tokenvault
        subject: system:serviceaccount:crm:crm
      rpcs: [GetCredentials]
      providers: ["*"]
      subjects: ["*"]
      require_subject_token: true           # GetCredentials only with the user's own token, in subject_token
  subject_tokens: {issuer: https://login.example.com, audience: app, claim: sub, tenant: default}  # those tokens, and whose users they are
  issuers:                                  # what an issuer of JWTs needs besides its URL
    https://kubernetes.default.svc: {ca_file: ca.crt, token_file: token, jwks_uri: https://kubernetes.default.svc/openid/v1/jwks}
  audit: {path: audit.jsonl}                # who did what; leave it out to keep no record

With tls, both listeners speak TLS 1.3. The files are PEM, and read anew when they change; one that
is damaged then is logged, and the last good one stays. With client_ca_file, clients of the gRPC
listener may show a certificate that one of its authorities has issued. Without tls, listen has
loopback addresses, unless it says that plaintext may leave the machine, for a proxy with TLS:
tls: {allow_plaintext: true}.

` + "`tokenvault config check --config FILE`" + ` says what is wrong with a file, without starting.
SIGINT and SIGTERM stop the vault; what it has begun at a provider it finishes. SIGHUP
has it open the audit log anew, after the file was moved away. Debuggers cannot attach
to the process, and it leaves no core dump.`
