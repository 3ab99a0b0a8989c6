// Signs people in with OpenID Connect, calls an API in their name, and signs them out.
package com.example;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Objects;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.client.registration.InMemoryClientRegistrationRepository;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.annotation.RegisteredOAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.oidc.userinfo.OidcUserService;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.web.DefaultOAuth2AuthorizationRequestResolver;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.csrf.CsrfToken;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;

@SpringBootApplication
@RestController
public class QuickStart {
  static final URI REDIRECT_URI = URI.create("{{redirect_uri}}");
  static final String RESOURCE = "{{resource}}"; // whom the access token is for

  public static void main(String[] arguments) {
    var application = new SpringApplication(QuickStart.class);
    application.setDefaultProperties(Map.of("server.port", REDIRECT_URI.getPort()));
    application.run(arguments);
  }

  @Bean
  ClientRegistrationRepository registrations() {
    return new InMemoryClientRegistrationRepository(
        ClientRegistrations.fromIssuerLocation("{{issuer}}")
            .registrationId("grantor")
            .clientId("{{client_id}}")
            .clientSecret(Objects.requireNonNull(System.getenv("CLIENT_SECRET"), "Set CLIENT_SECRET"))
            .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
            .redirectUri(REDIRECT_URI.toString())
            .scope("{{scope}}".split(" "))
            .clientSettings(ClientRegistration.ClientSettings.builder().requireProofKey(true).build()) // PKCE
            .build());
  }

  @Bean
  SecurityFilterChain security(HttpSecurity http, ClientRegistrationRepository registrations) throws Exception {
    var requests = new DefaultOAuth2AuthorizationRequestResolver(registrations);
    requests.setAuthorizationRequestCustomizer(request -> request.additionalParameters(more -> more.put("resource", RESOURCE)));
    var users = new OidcUserService();
    users.setRetrieveUserInfo(request -> false); // the ID token says everything; the access token is for the API alone
    var signedOut = new OidcClientInitiatedLogoutSuccessHandler(registrations);
    signedOut.setPostLogoutRedirectUri("{{post_logout_redirect_uri}}");
    return http
        .authorizeHttpRequests(requestsTo -> requestsTo.requestMatchers("/", "/error").permitAll().anyRequest().authenticated())
        .oauth2Login(login -> login
            .authorizationEndpoint(endpoint -> endpoint.authorizationRequestResolver(requests))
            .redirectionEndpoint(endpoint -> endpoint.baseUri(REDIRECT_URI.getPath()))
            .userInfoEndpoint(endpoint -> endpoint.oidcUserService(users))
            .defaultSuccessUrl("/"))
        .logout(logout -> logout.logoutSuccessHandler(signedOut))
        .build();
  }

  @GetMapping(path = "/", produces = MediaType.TEXT_HTML_VALUE)
  String home(@AuthenticationPrincipal OidcUser user, CsrfToken csrf) {
    if (user == null) return "<h1>Quick start</h1><p><a href=\"/oauth2/authorization/grantor\">Sign in</a></p>";
    var claims = new String(Base64.getUrlDecoder().decode(user.getIdToken().getTokenValue().split("\\.")[1]), StandardCharsets.UTF_8);
    return "<h1>Signed in</h1>" + block(claims) + "<p><a href=\"/call-api\">Call the API</a></p>"
        + "<form method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"_csrf\" value=\"" + csrf.getToken() + "\">"
        + "<button>Sign out</button></form>";
  }

  // Spring gives the access token, refreshed when its time is over.
  @GetMapping(path = "/call-api", produces = MediaType.TEXT_HTML_VALUE)
  String callApi(@RegisteredOAuth2AuthorizedClient("grantor") OAuth2AuthorizedClient client) {
    var answer = RestClient.create().get().uri(URI.create("{{api_url}}"))
        .headers(headers -> headers.setBearerAuth(client.getAccessToken().getTokenValue()))
        .retrieve().onStatus(status -> true, (request, response) -> {}).toEntity(String.class);
    return "<h1>The API answers " + answer.getStatusCode().value() + "</h1>" + block(answer.getBody()) + "<p><a href=\"/\">Back</a></p>";
  }

  static String block(String text) {
    return "<pre>" + text.replace("&", "&amp;").replace("<", "&lt;") + "</pre>";
  }
}
