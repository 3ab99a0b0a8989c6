// An API that checks access tokens by itself: signature, issuer, audience, times, kind and scope.
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication.JwtBearer;

const string Issuer = "{{issuer}}";
const string Audience = "{{resource}}"; // who this API is
const string Scope = "{{api_scope}}"; // what may be done here

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls(new Uri("{{api_url}}").GetLeftPart(UriPartial.Authority));
builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(options =>
{
    options.Authority = Issuer; // its keys are fetched once, and again when a new one signs
    options.RequireHttpsMetadata = Issuer.StartsWith("https:"); // http is for your own machine alone
    options.Audience = Audience;
    options.MapInboundClaims = false;
    options.TokenValidationParameters.ValidIssuer = Issuer;
    options.TokenValidationParameters.ValidTypes = ["at+jwt"]; // RFC 9068: an ID token opens nothing
});
builder.Services.AddAuthorizationBuilder().AddPolicy("scope", policy => policy.RequireAuthenticatedUser()
    .RequireAssertion(context => (context.User.FindFirstValue("scope") ?? "").Split(' ').Contains(Scope)));
// Pages of other origins may call: nothing here depends on a cookie.
builder.Services.AddCors(options => options.AddDefaultPolicy(policy => policy.AllowAnyOrigin().WithHeaders("Authorization")));

var app = builder.Build();
app.UseCors();
app.UseAuthentication();
app.UseAuthorization();
app.MapGet("/", (ClaimsPrincipal user) => new
{
    message = "Hello",
    sub = user.FindFirstValue("sub"),
    scope = user.FindFirstValue("scope"),
}).RequireAuthorization("scope");
app.Run();
