// Signs somebody in from a program on their own machine, with their browser (RFC 8252), calls an API in their name, and signs them out.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	issuer      = "{{issuer}}"
	clientID    = "{{client_id}}"
	redirectURI = "{{redirect_uri}}" // its port is another one at every start
	scope       = "{{scope}}"
	resource    = "{{resource}}" // whom the access token is for
	apiURL      = "{{api_url}}"
	signInTime  = 10 * time.Minute
)

// What the server says of itself beyond what go-oidc reads.
type metadata struct {
	Revocation string `json:"revocation_endpoint"`
	EndSession string `json:"end_session_endpoint"`
}

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatalf("That did not work: %s", inWords(err))
	}
}

func run(ctx context.Context) error {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return err
	}
	var server metadata
	if err := provider.Claims(&server); err != nil {
		return err
	}
	// There is no secret: whoever has this program would have it too. PKCE keeps a code useless to every other program.
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	config := &oauth2.Config{ClientID: clientID, Endpoint: endpoint, Scopes: strings.Fields(scope)}

	first, err := signIn(ctx, provider, config)
	if err != nil {
		return err
	}
	// In memory. To stay signed in until the next start, keep the refresh token in the system's keychain, never in a plain file.
	tokens := config.TokenSource(ctx, first) // refreshes when the access token's time is over
	lines := bufio.NewScanner(os.Stdin)
	for {
		if err := callAPI(ctx, tokens); err != nil {
			return err
		}
		fmt.Print("Enter calls the API again, q signs out: ")
		if !lines.Scan() || strings.TrimSpace(lines.Text()) == "q" {
			return signOut(tokens, server)
		}
	}
}

func signIn(ctx context.Context, provider *oidc.Provider, config *oauth2.Config) (*oauth2.Token, error) {
	here, err := url.Parse(redirectURI)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(here.Hostname(), "0"))
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	here.Host = net.JoinHostPort(here.Hostname(), port)
	config.RedirectURL = here.String()

	codeVerifier, state, nonce := oauth2.GenerateVerifier(), rand.Text(), rand.Text()
	answers := make(chan url.Values, 1)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := r.URL.Query()
		if r.URL.EscapedPath() != here.EscapedPath() || answer.Get("state") != state {
			http.Error(w, "This is not what the program waits for.", http.StatusNotFound)
			return
		}
		io.WriteString(w, "Close this page and go back to the program.")
		select {
		case answers <- answer:
		default: // the second of two
		}
	}))
	fmt.Println("Sign in with your browser. If it does not open by itself, open this address:")
	openBrowser(config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(codeVerifier),
		oauth2.SetAuthURLParam("resource", resource)))

	var answer url.Values
	select {
	case answer = <-answers:
	case <-time.After(signInTime):
		return nil, errors.New("nobody has signed in")
	}
	if answer.Get("iss") != issuer { // RFC 9207
		return nil, errors.New("this is the answer of another server")
	}
	if code := answer.Get("error"); code != "" {
		return nil, &oauth2.RetrieveError{ErrorCode: code, ErrorDescription: answer.Get("error_description")}
	}
	tokens, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(codeVerifier))
	if err != nil {
		return nil, err
	}
	raw, _ := tokens.Extra("id_token").(string)
	idToken, err := provider.Verifier(&oidc.Config{ClientID: clientID}).Verify(ctx, raw) // signature, issuer, audience and times
	if err != nil {
		return nil, err
	}
	if idToken.Nonce != nonce {
		return nil, errors.New("the ID token is not for this sign-in")
	}
	var claims map[string]any
	if err := idToken.Claims(&claims); err != nil {
		return nil, err
	}
	text, _ := json.MarshalIndent(claims, "", "  ")
	fmt.Printf("Signed in: %s\n", text)
	return tokens, nil
}

func callAPI(ctx context.Context, tokens oauth2.TokenSource) error {
	answer, err := oauth2.NewClient(ctx, tokens).Get(apiURL)
	var network *net.OpError
	if errors.As(err, &network) {
		fmt.Printf("Nothing answers at %s\n", apiURL)
		return nil
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Printf("The API answers %d: %s\n", answer.StatusCode, body)
	return err
}

func signOut(tokens oauth2.TokenSource, server metadata) error {
	last, err := tokens.Token()
	if err != nil {
		return err
	}
	token := last.RefreshToken // ends everything of this sign-in
	if token == "" {
		token = last.AccessToken
	}
	answer, err := http.PostForm(server.Revocation, url.Values{"client_id": {clientID}, "token": {token}})
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the revocation endpoint answers %d", answer.StatusCode)
	}
	fmt.Println("Signed out here. To sign out in the browser too, say so there:")
	// Without the ID token: a command's arguments can be seen by others on this machine.
	openBrowser(server.EndSession + "?" + url.Values{"client_id": {clientID}}.Encode())
	return nil
}

// Where none opens, the printed address is enough.
func openBrowser(address string) {
	fmt.Println(address)
	switch runtime.GOOS {
	case "windows":
		exec.Command("rundll32", "url.dll,FileProtocolHandler", address).Start()
	case "darwin":
		exec.Command("open", address).Start()
	default:
		exec.Command("xdg-open", address).Start()
	}
}

func inWords(err error) string {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return err.Error()
	}
	switch refused.ErrorCode {
	case "access_denied":
		return "it was not allowed"
	case "invalid_grant":
		return "the sign-in has ended, start again"
	}
	return refused.ErrorCode + " " + refused.ErrorDescription
}
