// An API that checks access tokens by itself: signature, issuer, audience, times, kind and scope.
package com.example;

import java.net.URI;
import java.util.List;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.JwtTypeValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.cors.CorsConfiguration;
import org.springframework.web.cors.UrlBasedCorsConfigurationSource;

@SpringBootApplication
@RestController
public class Api {
  static final String ISSUER = "{{issuer}}";
  static final String AUDIENCE = "{{resource}}"; // who this API is
  static final String SCOPE = "{{api_scope}}"; // what may be done here

  public static void main(String[] arguments) {
    var application = new SpringApplication(Api.class);
    application.setDefaultProperties(Map.of("server.port", URI.create("{{api_url}}").getPort()));
    application.run(arguments);
  }

  @Bean
  JwtDecoder decoder() {
    var decoder = NimbusJwtDecoder.withIssuerLocation(ISSUER).validateType(false).build(); // the kind is checked here:
    decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(
        new JwtTypeValidator("at+jwt"), // RFC 9068: an ID token opens nothing
        new JwtIssuerValidator(ISSUER),
        new JwtClaimValidator<List<String>>("aud", audience -> audience != null && audience.contains(AUDIENCE)),
        new JwtTimestampValidator()));
    return decoder;
  }

  @Bean
  SecurityFilterChain security(HttpSecurity http) throws Exception {
    return http
        .authorizeHttpRequests(requests -> requests.anyRequest().hasAuthority("SCOPE_" + SCOPE))
        .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
        .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
        .csrf(csrf -> csrf.disable()) // nothing here depends on a cookie
        .cors(cors -> cors.configurationSource(pagesOfOtherOrigins()))
        .build();
  }

  static UrlBasedCorsConfigurationSource pagesOfOtherOrigins() {
    var everyone = new CorsConfiguration();
    everyone.addAllowedOrigin("*");
    everyone.addAllowedHeader("Authorization");
    var source = new UrlBasedCorsConfigurationSource();
    source.registerCorsConfiguration("/**", everyone);
    return source;
  }

  @GetMapping("/")
  Map<String, Object> hello(@AuthenticationPrincipal Jwt token) {
    return Map.of("message", "Hello", "sub", token.getSubject(), "scope", token.getClaimAsString("scope"));
  }
}
