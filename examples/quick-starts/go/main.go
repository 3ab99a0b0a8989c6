// Signs people in with OpenID Connect, calls an API in their name, and signs them out.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	issuer                = "{{issuer}}"
	clientID              = "{{client_id}}"
	redirectURI           = "{{redirect_uri}}"
	postLogoutRedirectURI = "{{post_logout_redirect_uri}}"
	scope                 = "{{scope}}"
	resource              = "{{resource}}" // whom the access token is for
	apiURL                = "{{api_url}}"
)

// signIn is one browser's: on its way to the server at first, then signed in.
type signIn struct {
	verifier, state, nonce string
	claims                 map[string]any
	idToken                string
	tokens                 oauth2.TokenSource // refreshes when the access token's time is over
}

var (
	here       = must(url.Parse(redirectURI))
	signIns    sync.Map // In memory, which is enough for one process: put it into a store of your own.
	config     oauth2.Config
	verifier   *oidc.IDTokenVerifier
	endSession string
)

func main() {
	if os.Getenv("CLIENT_SECRET") == "" {
		log.Fatal("Set CLIENT_SECRET")
	}
	provider := must(oidc.NewProvider(context.Background(), issuer))
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // client_secret_basic
	config = oauth2.Config{
		ClientID:     clientID,
		ClientSecret: os.Getenv("CLIENT_SECRET"),
		Endpoint:     endpoint,
		RedirectURL:  redirectURI,
		Scopes:       strings.Fields(scope),
	}
	verifier = provider.Verifier(&oidc.Config{ClientID: clientID})
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&metadata); err != nil {
		log.Fatal(err)
	}
	endSession = metadata.EndSession

	http.HandleFunc("GET /{$}", home)
	http.HandleFunc("GET /sign-in", begin)
	http.HandleFunc("GET "+here.Path, callback)
	http.HandleFunc("GET /call-api", callAPI)
	http.HandleFunc("POST /sign-out", signOut)
	log.Printf("Open %s://%s", here.Scheme, here.Host)
	log.Fatal(http.ListenAndServe(":"+here.Port(), nil))
}

func home(w http.ResponseWriter, r *http.Request) {
	if current := find(r); current == nil || current.tokens == nil {
		page(w, `<h1>Quick start</h1><p><a href="/sign-in">Sign in</a></p>`)
	} else {
		page(w, "<h1>Signed in</h1>"+block(current.claims)+
			`<p><a href="/call-api">Call the API</a></p><form method="post" action="/sign-out"><button>Sign out</button></form>`)
	}
}

func begin(w http.ResponseWriter, r *http.Request) {
	pending := &signIn{verifier: oauth2.GenerateVerifier(), state: rand.Text(), nonce: rand.Text()}
	keep(w, pending)
	http.Redirect(w, r, config.AuthCodeURL(pending.state, oidc.Nonce(pending.nonce), oauth2.S256ChallengeOption(pending.verifier),
		oauth2.SetAuthURLParam("resource", resource)), http.StatusFound)
}

func callback(w http.ResponseWriter, r *http.Request) {
	pending := find(r)
	if pending == nil || pending.state == "" || r.FormValue("state") != pending.state || r.FormValue("iss") != issuer {
		http.Error(w, "This sign-in was not begun here. Start it again.", http.StatusBadRequest)
		return
	}
	if problem := r.FormValue("error"); problem != "" {
		http.Error(w, "Not signed in: "+problem, http.StatusBadRequest)
		return
	}
	tokens, err := config.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(pending.verifier))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	raw, _ := tokens.Extra("id_token").(string)
	idToken, err := verifier.Verify(r.Context(), raw) // signature, issuer, audience and times
	if err != nil || idToken.Nonce != pending.nonce {
		http.Error(w, "The ID token is not for this sign-in.", http.StatusBadGateway)
		return
	}
	// Not the request's context: it ends, and the sign-in goes on.
	signedIn := &signIn{idToken: raw, tokens: config.TokenSource(context.Background(), tokens)}
	if err := idToken.Claims(&signedIn.claims); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	forget(r)
	keep(w, signedIn) // under a new id: session fixation
	http.Redirect(w, r, "/", http.StatusFound)
}

func callAPI(w http.ResponseWriter, r *http.Request) {
	current := find(r)
	if current == nil || current.tokens == nil {
		http.Redirect(w, r, "/", http.StatusFound)
		return
	}
	answer, err := oauth2.NewClient(r.Context(), current.tokens).Get(apiURL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	page(w, fmt.Sprintf(`<h1>The API answers %d</h1><pre>%s</pre><p><a href="/">Back</a></p>`, answer.StatusCode, html.EscapeString(string(body))))
}

func signOut(w http.ResponseWriter, r *http.Request) {
	current := find(r)
	forget(r)
	if current == nil || current.tokens == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	hint := url.Values{"id_token_hint": {current.idToken}, "post_logout_redirect_uri": {postLogoutRedirectURI}}
	http.Redirect(w, r, endSession+"?"+hint.Encode(), http.StatusSeeOther)
}

func keep(w http.ResponseWriter, one *signIn) {
	id := rand.Text()
	signIns.Store(id, one)
	http.SetCookie(w, &http.Cookie{
		Name: "session", Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: here.Scheme == "https",
	})
}

func find(r *http.Request) *signIn {
	if cookie, err := r.Cookie("session"); err == nil {
		if found, ok := signIns.Load(cookie.Value); ok {
			return found.(*signIn)
		}
	}
	return nil
}

func forget(r *http.Request) {
	if cookie, err := r.Cookie("session"); err == nil {
		signIns.Delete(cookie.Value)
	}
}

func page(w http.ResponseWriter, content string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, content)
}

func block(value any) string {
	text, _ := json.MarshalIndent(value, "", "  ")
	return "<pre>" + html.EscapeString(string(text)) + "</pre>"
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
