// Serves one folder as an ASP.NET application: aspnet_host.exe PORT FOLDER, on loopback only.
// It has to lie in FOLDER/bin, where the application's domain looks for it.
using System;
using System.IO;
using System.Net;
using System.Threading;
using System.Web;
using System.Web.Hosting;

public class Request : SimpleWorkerRequest
{
    private readonly HttpListenerContext context;
    private static readonly string Plain = "application/octet-stream";

    public Request(HttpListenerContext asked)
        : base(asked.Request.Url.AbsolutePath.TrimStart('/'), asked.Request.Url.Query.TrimStart('?'),
               TextWriter.Null)
    {
        context = asked;
    }

    // Mono's own take only pages of the top folder.
    public override string GetUriPath() { return context.Request.Url.AbsolutePath; }
    public override string GetFilePath() { return GetUriPath(); }
    public override string GetFilePathTranslated() { return MapPath(GetUriPath()); }
    public override string MapPath(string path)
    {
        return Path.Combine(HttpRuntime.AppDomainAppPath, path.TrimStart('/'));
    }

    public override string GetHttpVerbName() { return context.Request.HttpMethod; }
    public override void SendStatus(int code, string text) { context.Response.StatusCode = code; }
    public override void SendUnknownResponseHeader(string name, string value) { Header(name, value); }
    public override void SendKnownResponseHeader(int index, string value)
    {
        Header(GetKnownResponseHeaderName(index), value);
    }

    private void Header(string name, string value)
    {
        if (name == "Content-Type") context.Response.ContentType = value ?? Plain;
    }

    public override void SendResponseFromMemory(byte[] data, int length)
    {
        context.Response.OutputStream.Write(data, 0, length);
    }

    public override void SendResponseFromFile(string name, long offset, long length)
    {
        using (FileStream file = File.OpenRead(name))
        {
            file.Seek(offset, SeekOrigin.Begin);
            byte[] data = new byte[length];
            int read = file.Read(data, 0, data.Length);
            SendResponseFromMemory(data, read);
        }
    }

    public override void EndOfRequest()
    {
        base.EndOfRequest();
        context.Response.Close();
    }
}

public class Site : MarshalByRefObject
{
    public override object InitializeLifetimeService() { return null; }

    // Returns when the domain is taken down; a changed web.config does that.
    public void Serve(int port)
    {
        HttpListener listener = new HttpListener();
        listener.Prefixes.Add("http://127.0.0.1:" + port + "/");
        listener.Start();
        try
        {
            while (true)
            {
                HttpRuntime.ProcessRequest(new Request(listener.GetContext()));
            }
        }
        finally
        {
            listener.Close();
        }
    }
}

public static class Host
{
    public static int Main(string[] arguments)
    {
        int port = int.Parse(arguments[0]);
        while (true)
        {
            try
            {
                Site site = (Site)ApplicationHost.CreateApplicationHost(typeof(Site), "/", arguments[1]);
                site.Serve(port);
            }
            catch (AppDomainUnloadedException)
            {
                Console.Error.WriteLine("the application starts again");
            }
            catch (ThreadAbortException)
            {
                Thread.ResetAbort();
            }
            Thread.Sleep(50);
        }
    }
}
