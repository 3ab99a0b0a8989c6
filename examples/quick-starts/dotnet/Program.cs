// Signs people in with OpenID Connect, calls an API in their name, and signs them out.
using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

const string Issuer = "{{issuer}}";
const string ClientId = "{{client_id}}";
const string Resource = "{{resource}}"; // whom the access token is for
const string PostLogoutRedirectUri = "{{post_logout_redirect_uri}}";
var redirectUri = new Uri("{{redirect_uri}}");
var secret = Environment.GetEnvironmentVariable("CLIENT_SECRET") ?? throw new InvalidOperationException("Set CLIENT_SECRET");

var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Uri.EscapeDataString(ClientId)}:{Uri.EscapeDataString(secret)}"));
var server = new HttpClient { DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Basic", basic) } }; // client_secret_basic

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls(redirectUri.GetLeftPart(UriPartial.Authority));
builder.Services.AddAuthorization();
builder.Services
    .AddAuthentication(options =>
    {
        options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
        options.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;
    })
    .AddCookie(options => options.Events.OnValidatePrincipal = Refresh)
    .AddOpenIdConnect(options => // PKCE, state, nonce and the ID token are checked by ASP.NET Core
    {
        options.Authority = Issuer;
        options.RequireHttpsMetadata = Issuer.StartsWith("https:"); // http is for your own machine alone
        options.ClientId = ClientId;
        options.Backchannel = server;
        options.ResponseType = OpenIdConnectResponseType.Code;
        options.ResponseMode = OpenIdConnectResponseMode.Query;
        options.PushedAuthorizationBehavior = PushedAuthorizationBehavior.Disable;
        options.CallbackPath = redirectUri.AbsolutePath;
        options.Resource = Resource;
        options.SaveTokens = true;
        options.MapInboundClaims = false;
        options.Scope.Clear();
        foreach (var scope in "{{scope}}".Split(' ')) options.Scope.Add(scope);
        // Over http on your own machine the cookies of a sign-in go along with a redirect by GET.
        options.CorrelationCookie.SameSite = options.NonceCookie.SameSite = SameSiteMode.Lax;
        options.CorrelationCookie.SecurePolicy = options.NonceCookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        options.Events.OnRedirectToIdentityProviderForSignOut = context =>
        {
            context.ProtocolMessage.PostLogoutRedirectUri = PostLogoutRedirectUri;
            return Task.CompletedTask;
        };
        options.Events.OnRemoteFailure = context => // such as access_denied: somebody did not allow it
        {
            context.HandleResponse();
            context.Response.StatusCode = StatusCodes.Status502BadGateway;
            return Page("<h1>That did not work</h1>" + Block(context.Failure?.Message ?? "server_error") + "<p><a href=\"/\">Back</a></p>")
                .ExecuteAsync(context.HttpContext);
        };
    });

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();

app.MapGet("/", (ClaimsPrincipal user) => Page(user.Identity?.IsAuthenticated != true
    ? "<h1>Quick start</h1><p><a href=\"/sign-in\">Sign in</a></p>"
    : "<h1>Signed in</h1>" + Block(JsonSerializer.Serialize(user.Claims.ToLookup(claim => claim.Type, claim => claim.Value)
        .ToDictionary(claim => claim.Key, claim => string.Join(' ', claim))))
        + "<p><a href=\"/call-api\">Call the API</a></p><form method=\"post\" action=\"/sign-out\"><button>Sign out</button></form>"));

app.MapGet("/sign-in", () => Results.Challenge(new AuthenticationProperties { RedirectUri = "/" }));

app.MapGet("/call-api", async (HttpContext context) =>
{
    using var api = new HttpClient();
    api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", await context.GetTokenAsync("access_token"));
    using var answer = await api.GetAsync("{{api_url}}");
    return Page($"<h1>The API answers {(int)answer.StatusCode}</h1>{Block(await answer.Content.ReadAsStringAsync())}<p><a href=\"/\">Back</a></p>");
}).RequireAuthorization();

app.MapPost("/sign-out", () => Results.SignOut(
    authenticationSchemes: [CookieAuthenticationDefaults.AuthenticationScheme, OpenIdConnectDefaults.AuthenticationScheme]));

app.Run();

static IResult Page(string content) => Results.Content(content, "text/html; charset=utf-8");
static string Block(string text) => $"<pre>{HtmlEncoder.Default.Encode(text)}</pre>";

// Before a request of somebody whose access token's time is over: a new one. Each refresh token works once: the newest is kept.
async Task Refresh(CookieValidatePrincipalContext context)
{
    var expires = context.Properties.GetTokenValue("expires_at");
    var refreshToken = context.Properties.GetTokenValue("refresh_token");
    if (refreshToken is null || expires is null) return;
    if (DateTimeOffset.Parse(expires, CultureInfo.InvariantCulture) > DateTimeOffset.UtcNow.AddSeconds(10)) return;

    using var metadata = JsonDocument.Parse(await server.GetStringAsync($"{Issuer}/.well-known/openid-configuration"));
    using var answer = await server.PostAsync(metadata.RootElement.GetProperty("token_endpoint").GetString(), new FormUrlEncodedContent(
        new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["refresh_token"] = refreshToken, ["resource"] = Resource }));
    if (!answer.IsSuccessStatusCode)
    {
        context.RejectPrincipal(); // the sign-in has ended
        return;
    }
    using var tokens = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
    var body = tokens.RootElement;
    context.Properties.UpdateTokenValue("access_token", body.GetProperty("access_token").GetString()!);
    if (body.TryGetProperty("refresh_token", out var next)) context.Properties.UpdateTokenValue("refresh_token", next.GetString()!);
    var until = DateTimeOffset.UtcNow.AddSeconds(body.GetProperty("expires_in").GetInt32());
    context.Properties.UpdateTokenValue("expires_at", until.ToString("o", CultureInfo.InvariantCulture));
    context.ShouldRenew = true;
}
