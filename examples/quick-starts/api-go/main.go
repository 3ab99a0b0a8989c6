// An API that checks access tokens by itself: signature, issuer, audience, times, kind and scope.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	issuer   = "{{issuer}}"
	audience = "{{resource}}"  // who this API is
	scope    = "{{api_scope}}" // what may be done here
	apiURL   = "{{api_url}}"
)

func main() {
	provider, err := oidc.NewProvider(context.Background(), issuer)
	if err != nil {
		log.Fatal(err)
	}
	// Keys are fetched once, and again when a new one signs. The client of an access token is its audience.
	verifier := provider.Verifier(&oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA},
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// Pages of other origins may call: nothing here depends on a cookie.
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization")
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || raw == "" {
			refuse(w, http.StatusUnauthorized, "Bearer")
			return
		}
		token, err := verifier.Verify(r.Context(), raw)
		var claims struct {
			Scope string `json:"scope"`
		}
		if err != nil || !isAccessToken(raw) || token.Claims(&claims) != nil {
			refuse(w, http.StatusUnauthorized, `Bearer error="invalid_token"`)
			return
		}
		if !slices.Contains(strings.Fields(claims.Scope), scope) {
			refuse(w, http.StatusForbidden, fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, scope))
			return
		}
		answer(w, map[string]any{"message": "Hello", "sub": token.Subject, "scope": claims.Scope})
	})
	here, err := url.Parse(apiURL)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("The API for %s listens on port %s", audience, here.Port())
	log.Fatal(http.ListenAndServe(":"+here.Port(), nil))
}

// isAccessToken: RFC 9068 §4; an ID token opens nothing.
func isAccessToken(raw string) bool {
	var header struct {
		Type string `json:"typ"`
	}
	encoded, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	return err == nil && json.Unmarshal(text, &header) == nil && strings.EqualFold(header.Type, "at+jwt")
}

func refuse(w http.ResponseWriter, status int, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]int{"status": status})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}
